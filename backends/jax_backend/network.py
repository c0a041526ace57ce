"""The network as a pure function of one replica's weights; `vmap` adds the replica axis.

The recurrence, with its derivative, is in `cells.py` and `gru.py`; JAX differentiates the rest.
Gates as in `harness/core/model.py`; W input kernel, U recurrent kernel; T time steps, B samples, F
inputs, H units, G gates.
"""

import jax.numpy as jnp

from backends.jax_backend.cells import CELLS
from backends.jax_backend.recurrence import Array, Rules, recurrence
from harness.core.model import ModelSpec

Weights = dict[str, Array]  # canonical names, without the replica axis

# semantics.tf32 -> precision of the recurrent layers' products and of the head's. Neither acts on
# float64, nor on the CPU.
EXACT, TF32 = "highest", "tensorfloat32"
PRECISIONS = {"off": (EXACT, EXACT), "recurrent": (TF32, EXACT), "on": (TF32, TF32)}


def network(
    model: ModelSpec,
    weights: Weights,
    x: Array,
    mask: Array | None,
    *,
    tf32: str,
    unrolled: bool = False,
) -> Array:
    """Map `x` `(B, T, F)` and `mask` `(B, T)` to outputs `(B, O)` or `(B, T, O)`."""
    recurrent, head = PRECISIONS[tf32]
    rules = Rules(precision=recurrent, activation=model.activation, unrolled=unrolled)
    real = None if mask is None else mask.T[..., None]  # (T, B, 1)
    h = x.swapaxes(0, 1)  # (T, B, F)
    for layer in range(model.layers):
        prefix = f"rnn.{layer}."
        layer_weights = {
            n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)
        }
        h = recurrent_layer(model, layer_weights, h, real, rules)
    seen = h.swapaxes(0, 1) if model.every_step else h[-1]
    if model.head == "none":
        return seen
    return product(seen, weights["head.kernel"], weights["head.bias"], head)


def recurrent_layer(
    model: ModelSpec, layer_weights: Weights, x: Array, real: Array | None, rules: Rules
) -> Array:
    """Return h `(T, B, H)` of every time step; padding keeps the state before.

    `x` is `(T, B, F)` and `real` `(T, B, 1)` or None.
    """
    cell = CELLS[f"gru {model.reset}" if model.cell == "gru" else model.cell]
    input_side, candidate = biases(model, layer_weights)
    # The inputs of all time steps in one product: no step waits for it.
    a = product(x, layer_weights["kernel"], input_side, rules.precision)  # (T, B, GH)
    return recurrence(cell, rules)(a, candidate, layer_weights["recurrent_kernel"], real)


def product(x: Array, W: Array, b: Array, precision: str) -> Array:
    """Compute x W + b of x `(…, F)` and W `(F, G)` as one product of matrices, [x 1] [W; b].

    So the gradients of W and b are one product, too: XLA would sum up those of b, and of the W of a
    single feature, column by column, and of three axes it would transpose the whole error.
    """
    flat = x.reshape(-1, x.shape[-1])
    if precision == EXACT:
        x_1 = jnp.concatenate([flat, jnp.ones((len(flat), 1), x.dtype)], 1)
        a = jnp.matmul(x_1, jnp.concatenate([W, b[None]]), precision=precision)
    else:  # TF32 rounds what is multiplied, and must not round b
        a = jnp.matmul(flat, W, precision=precision) + b
    return a.reshape(*x.shape[:-1], W.shape[1])


def biases(model: ModelSpec, layer_weights: Weights) -> tuple[Array, Array | None]:
    """Return the bias of the inputs `(GH,)` and, with the reset after, of q_h `(H,)`.

    A second bias acts where the first does, except on the candidate of a GRU with the reset after.
    """
    first, second = layer_weights["bias"], layer_weights.get("recurrent_bias")
    if model.cell != "gru":
        return (first if second is None else first + second), None
    gates = 2 * model.units
    if model.biases == "double":
        first, second = first
    elif second is None:
        second = jnp.zeros_like(first)
    else:  # acts on the candidate alone
        second = jnp.concatenate([jnp.zeros_like(first)[:gates], second])
    if model.reset == "before":
        return first + second, None
    return first.at[:gates].add(second[:gates]), second[gates:]
