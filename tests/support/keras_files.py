"""Files that Keras itself writes, of small networks with random weights and biases."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import backends.keras_backend  # noqa: F401  # TensorFlow's settings, before Keras is imported


def sequential(layers: Sequence[Any], dtype: str = "float32", **options: Any) -> Any:
    """A model of the layers, for inputs of 3 features, with random weights."""
    import keras

    return randomised(keras.Sequential([keras.Input((None, 3), dtype=dtype, **options), *layers]))


def randomised(model: Any) -> Any:
    """The model with weights drawn anew, of a size at which every gate matters."""
    rng = np.random.default_rng(5)
    model.set_weights([rng.normal(scale=0.6, size=w.shape) for w in model.get_weights()])
    return model


def save(model: Any, path: Path) -> Path:
    """Write a `.keras` archive, or a `.weights.h5` file, as the name says."""
    if path.suffix == ".keras":
        model.save(path)
    else:
        model.save_weights(path)
    return path
