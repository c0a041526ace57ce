"""The network in `keras.ops` on stacked weights: all replicas in one batched product.

The recurrence, with its derivative, is in `cells.py` and `gru.py`; TensorFlow differentiates the
rest. Time is one loop, which XLA compiles fast: its body is compiled once, whatever the length.

Weights are canonical, `(R, …)` each (`harness/core/model.py`): R replicas, B samples, T time steps,
F inputs, H units, G gates.
"""

from typing import Any

import tensorflow as tf

from backends.keras_backend.cells import CELLS
from backends.keras_backend.recurrence import by_replica, dot, ops, recurrence
from harness.core.model import ModelSpec

Weights = dict[str, Any]


def network(model: ModelSpec, weights: Weights, x: Any, mask: Any) -> Any:
    """Map `x` `(R, B, T, F)` and `mask` `(R, B, T)` to outputs `(R, B, O)` or `(R, B, T, O)`."""
    real = None if mask is None else ops.transpose(mask, (2, 0, 1))[..., None]  # (T, R, B, 1)
    h = ops.transpose(x, (2, 0, 1, 3))  # (T, R, B, F)
    for layer in range(model.layers):
        prefix = f"rnn.{layer}."
        layer_weights = {
            n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)
        }
        h = recurrent_layer(model, layer_weights, h, real)
    seen = h if model.every_step else h[-1:]
    if model.head == "dense":
        seen = product(seen, weights["head.kernel"], weights["head.bias"])
    return ops.transpose(seen, (1, 2, 0, 3)) if model.every_step else seen[0]


def recurrent_layer(model: ModelSpec, layer_weights: Weights, x: Any, real: Any) -> Any:
    """Return h `(T, R, B, H)` of every time step; padding keeps the state before.

    `x` is `(T, R, B, F)` and `real` `(T, R, B, 1)` or None.
    """
    cell = CELLS[f"gru {model.reset}" if model.cell == "gru" else model.cell]
    input_side, candidate = biases(model, layer_weights)
    # The inputs of all time steps in one product: no step waits for it.
    a = product(x, layer_weights["kernel"], input_side)
    return recurrence(cell, model.activation, real)(a, candidate, layer_weights["recurrent_kernel"])


def product(x: Any, W: Any, b: Any) -> Any:
    """Compute x_t W + b of all time steps at once: `(T, R, B, F)` -> `(T, R, B, GH)`.

    It is one product [x 1] [W; b], so that the gradients of W and b are one, too: XLA sums up those
    of b, and of the W of a single feature, column by column. W is not broadcast along T:
    TensorFlow 2.21's oneDNN kernel for that product crashes (T = 10, B = 100, F = 1).
    """
    T, R, B, _ = x.shape
    if tf.config.experimental.tensor_float_32_execution_enabled():
        # TF32 rounds what is multiplied, and must not round b.
        a = dot(by_replica(x), W) + b[:, None]
    else:
        x_1 = ops.concatenate([x, ops.ones((T, R, B, 1), x.dtype)], -1)
        a = dot(by_replica(x_1), ops.concatenate([W, b[:, None]], 1))
    if R == 1:  # nothing is transposed
        return ops.reshape(a, (T, R, B, a.shape[-1]))
    return ops.transpose(ops.reshape(a, (R, T, B, a.shape[-1])), (1, 0, 2, 3))


def biases(model: ModelSpec, layer_weights: Weights) -> tuple[Any, Any]:
    """Return the bias of the inputs `(R, GH)` and, with the reset after, of q_h `(R, 1, H)`.

    A second bias acts where the first does, except on the candidate of a GRU with the reset after.
    """
    first, second = layer_weights["bias"], layer_weights.get("recurrent_bias")
    if model.cell != "gru":
        return (first if second is None else first + second), None
    gates = 2 * model.units
    if model.biases == "double":
        first, second = first[:, 0], first[:, 1]
    elif second is None:
        second = ops.zeros_like(first)
    else:  # acts on the candidate alone
        second = ops.concatenate([ops.zeros_like(first)[:, :gates], second], 1)
    if model.reset == "before":
        return first + second, None
    both = ops.concatenate([second[:, :gates], ops.zeros_like(second)[:, gates:]], 1)
    return first + both, second[:, None, gates:]
