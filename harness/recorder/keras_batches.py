"""See the batches of Keras' `fit`, which shuffles inside and shows callbacks none of it.

With PyTorch and JAX, `fit` asks the model's `train_function` for every step; a function put in its
place looks at the batch and passes it on. TensorFlow's function takes its batches from a `tf.data`
iterator inside a compiled graph, and given them in another way it rounds differently (measured for
a SimpleRNN). So there a last stage of the input pipeline looks at each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import keras

from harness.core.arrays import Array

NAMES = ("x", "y", "sample_weight")
Look = Callable[[Any], None]


def watch(
    model: Any, epoch_iterator: Any, look: Look, note: Callable[[str], None]
) -> Callable[[], object]:
    """Let `look` see each batch of a `fit` that has just begun; return what ends it.

    `epoch_iterator` is the one of `fit`. What is changed to see the batches is noted.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        _watch_pipeline(epoch_iterator, look, note)
        return lambda: None
    note(
        f"to see the batches of Keras ({backend}), model.train_function is replaced during fit by "
        "one that looks at each batch and passes it on unchanged"
    )
    original = model.train_function
    model.train_function = {"torch": _torch, "jax": _jax}[backend](original, look)
    return partial(setattr, model, "train_function", original)


def build(model: Any, epoch_iterator: Any) -> bool:
    """Build a model that has no weights yet, as TensorFlow's first step would; return if it has.

    `epoch_iterator` is the one of `fit`, which has the shapes.
    """
    dataset: Any = getattr(epoch_iterator, "_distributed_dataset", None)
    spec: Any = getattr(dataset, "element_spec", None)
    x: Any = spec if spec is None else keras.utils.unpack_x_y_sample_weight(spec)[0]
    if hasattr(x, "shape"):
        model(keras.KerasTensor(tuple(x.shape), x.dtype.name))  # computes nothing
    return bool(model.weights)


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


def _torch(function: Callable[..., Any], look: Look) -> Callable[..., Any]:
    def train_function(batches: list[Any]) -> Any:
        look(batches[0])
        return function(batches)

    return train_function


def _jax(function: Callable[..., Any], look: Look) -> Callable[..., Any]:
    def train_function(state: Any, iterator: Iterator[Any]) -> Any:
        batch = next(iterator)
        look(batch)
        return function(state, iter([batch]))

    return train_function


def _watch_pipeline(epoch_iterator: Any, look: Look, note: Callable[[str], None]) -> None:
    """Add a stage to the pipeline that `fit` reads; it may run some batches ahead of the steps."""
    import tensorflow as tf

    # Keras has no public name for the pipeline.
    dataset: Any = getattr(epoch_iterator, "_distributed_dataset", None)
    leaves = tf.nest.flatten(getattr(dataset, "element_spec", None))
    if not all(isinstance(leaf, tf.TensorSpec) for leaf in leaves):
        note("the batches of this fit are no plain tensors in a tf.data pipeline")
        return
    note(
        "to see the batches of Keras (tensorflow), fit's input pipeline is given a last stage that "
        "looks at each batch and passes it on unchanged"
    )

    def stage(*parts: Any) -> Any:
        batch = parts if isinstance(dataset.element_spec, tuple) else parts[0]

        def see(*arrays: Any) -> Any:
            look(tf.nest.pack_sequence_as(batch, arrays))
            return False  # a function of the pipeline has to return something

        with tf.control_dependencies([tf.numpy_function(see, tf.nest.flatten(batch), tf.bool)]):
            return tf.nest.map_structure(tf.identity, batch)

    epoch_iterator._distributed_dataset = dataset.map(stage)  # noqa: SLF001
