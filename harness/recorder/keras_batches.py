"""See the batches of Keras' `fit`, which shuffles inside and shows callbacks none of it.

`fit` asks the model's `train_function` for every step. A function put in its place takes the batch
from Keras' own iterator, looks at it, and has the same step carried out on it. Each backend hands
over its batches in another form. TensorFlow's function otherwise takes them from a `tf.data`
iterator itself, and a list as Keras' own `train_on_batch` hands it over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras

from harness.core.arrays import Array

NAMES = ("x", "y", "sample_weight")


def watched(
    function: Callable[..., Any], look: Callable[[Any], None], note: Callable[[str], None]
) -> Callable[..., Any]:
    """Return a train function for `fit` that lets `look` see each batch, and says so."""
    backend = keras.backend.backend()
    note(
        f"to see the batches of Keras ({backend}), model.train_function is replaced during fit by "
        "one that looks at each batch and passes it on unchanged"
    )
    return {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}[backend](function, look)


def on_several_devices(model: Any) -> bool:
    """Return whether Keras or TensorFlow spreads the training, so that batches are in parts."""
    if keras.backend.backend() != "tensorflow":
        return keras.distribution.distribution() is not None
    import tensorflow as tf

    # A strategy is in force either where `fit` is called, or where the model was made.
    current = tf.distribute.get_strategy()
    return tf.distribute.has_strategy() or model.distribute_strategy is not current


def samples_of(data: Any) -> dict[str, Array] | str:
    """Return the arrays of a batch by name, `(B, …)` each, or why there are none, in words."""
    parts = dict(zip(NAMES, keras.utils.unpack_x_y_sample_weight(data), strict=True))
    arrays = {}
    for name, values in parts.items():
        if isinstance(values, list | tuple) and len(values) == 1:
            values = values[0]
        if isinstance(values, list | tuple | dict):
            return f"{name} has several arrays, and a recording one"
        if values is not None:
            arrays[name] = keras.ops.convert_to_numpy(values)
    return arrays


def _torch(function: Callable[..., Any], look: Callable[[Any], None]) -> Any:
    def train_function(batches: list[Any]) -> Any:
        look(batches[0])
        return function(batches)

    return train_function


def _jax(function: Callable[..., Any], look: Callable[[Any], None]) -> Any:
    def train_function(state: Any, iterator: Iterator[Any]) -> Any:
        batch = next(iterator)
        look(batch)
        return function(state, iter([batch]))

    return train_function


def _tensorflow(function: Callable[..., Any], look: Callable[[Any], None]) -> Any:
    def train_function(iterator: Iterator[Any]) -> Any:
        batch = next(iterator)
        look(batch)
        return function([batch])

    return train_function
