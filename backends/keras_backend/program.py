"""An epoch of updates of all replicas as one `tf.function` of tensors: nothing returns to Python.

Weights, data, learning rates and the optimiser's numbers are arguments of the program, and the new
state is its result: a later job of the same rules and shapes traces and compiles nothing. With the
kernel `xla` the loop over steps is part of the compiled program.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import keras
import tensorflow as tf

from backends.flat import sizes
from backends.keras_backend import network as stacked
from backends.keras_backend.layers import Layers
from backends.keras_backend.losses import mean_loss
from backends.keras_backend.optimizers import UPDATE, Tensors, clip, decay
from harness.core.model import ModelSpec, shapes
from harness.core.semantics import Semantics
from harness.system.compiled_programs import freed_by

compiled = 0  # training programs that this process has traced so far


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The static arguments of a program: everything that is not a tensor."""

    model: ModelSpec
    loss: str
    optimizer: str
    semantics: Semantics
    precision: str
    kernel: str  # "layers" or "xla"
    device: str


def network_of(rules: Rules) -> Callable[[Any, Any, Any], Any]:
    """Return the network as a function of weights `(R, P)`, x `(R, B, T, F)`, mask `(R, B, T)`."""
    model = rules.model
    if rules.kernel == "xla":
        return lambda flat, x, mask: stacked.network(model, by_name(flat, model), x, mask)
    layers = Layers(model, rules.precision, rules.device)

    def outputs(flat: Any, x: Any, mask: Any) -> Any:
        weights = by_name(flat, model)
        per_replica = []
        for r in range(flat.shape[0]):
            weights_r = {name: value[r] for name, value in weights.items()}
            per_replica.append(layers(weights_r, x[r], None if mask is None else mask[r]))
        return tf.stack(per_replica)

    return outputs


def by_name(flat: Any, model: ModelSpec) -> dict[str, Any]:
    """Return each weight `(R, …)` of θ `(R, P)`."""
    parts = tf.split(flat, sizes(model), axis=1)
    named = zip(shapes(model).items(), parts, strict=True)
    return {name: tf.reshape(part, (flat.shape[0], *shape)) for (name, shape), part in named}


@lru_cache(maxsize=16)
def predict_program(rules: Rules) -> Any:
    """Return the program `(weights, x, mask) -> outputs`."""
    outputs = network_of(rules)

    @tf.function
    @tf.autograph.experimental.do_not_convert
    def predict(flat: Any, x: Any, mask: Any) -> Any:
        return outputs(flat, x, mask)

    return predict


@lru_cache(maxsize=16)
def train_program(rules: Rules) -> Any:
    """Return the program `(weights, slots, t, data, numbers, rows, lr) -> weights, slots, losses`.

    `rows` `(S, R, B)` are indices into `data`, whose arrays are `(M, …)`; `lr` and the losses are
    `(S, R)`; `t` is the number of updates done.
    """
    outputs = network_of(rules)

    @tf.autograph.experimental.do_not_convert
    def update(flat: Any, slots: Tensors, data: Tensors, rows: Any, n: Tensors) -> tuple:
        batch = {name: tf.gather(part, rows) for name, part in data.items()}
        mask = batch.get("mask")
        with tf.GradientTape() as tape:
            tape.watch(flat)
            predictions = outputs(flat, batch["x"], mask)
            counted = mask if rules.model.every_step else None
            losses = mean_loss(rules.loss, rules.semantics.bce, predictions, batch["y"], counted)
        # Replicas share no weight, so the gradient of the sum is each one's own gradient.
        g = clip(tape.gradient(losses, flat), sizes(rules.model), n, rules.semantics)
        flat, g = decay(flat, g, n, rules.semantics)
        flat, slots = UPDATE[rules.optimizer](flat, g, slots, n, rules.semantics)
        return flat, slots, losses

    def epoch(flat: Any, slots: Tensors, t: Any, data: Tensors, n: Tensors, rows: Any, lr: Any):
        global compiled
        compiled += 1  # this line runs when the function is traced
        steps = tf.shape(rows)[0]
        losses = tf.TensorArray(rules.precision, size=steps, element_shape=(flat.shape[0],))
        for s in tf.range(steps):
            t += 1
            numbers = n | {"lr": lr[s][:, None], "t": t}
            flat, slots, before = update(flat, slots, data, rows[s], numbers)
            losses = losses.write(s, before)
        return flat, slots, losses.stack()

    return tf.function(epoch, jit_compile=rules.kernel == "xla")


def call(
    rules: Rules, program: Any, arguments: tuple, open_axes: tuple[tuple[int, ...], ...]
) -> Any:
    """Run a program.

    With `layers`, axes whose sizes change from call to call (steps, batch, samples) have no fixed
    size in it, so that it is traced once; XLA needs all sizes.
    """
    if rules.kernel == "xla":
        return program(*arguments)
    specs = [
        tf.nest.map_structure(lambda tensor, axes=axes: _spec(tensor, axes), argument)
        for argument, axes in zip(arguments, open_axes, strict=True)
    ]
    return program.get_concrete_function(*specs)(*arguments)


def _spec(tensor: Any, open_axes: tuple[int, ...]) -> Any:
    if tensor is None:
        return None
    shape = [None if axis in open_axes else size for axis, size in enumerate(tensor.shape)]
    return tf.TensorSpec(shape, tensor.dtype)


@freed_by
def free_programs() -> None:
    """Free the programs that this process has traced."""
    train_program.cache_clear()
    predict_program.cache_clear()
    keras.backend.clear_session()
