"""The network as pure functions of one replica's weights; `vmap` adds the replica axis.

A cell is `advance(inputs, state, U, dot, activation) -> state`, one time step. `state` is a tuple
with h `(B, H)` first; `inputs` `(B, GH)` do not depend on the step before: the projected inputs
and, in a GRU, the recurrent side's bias. `lax.scan` runs it over time and JAX differentiates it, so
there is no code for backpropagation through time.

Gates as in `harness/core/model.py`; W input kernel, U recurrent kernel; T time steps, B samples, F
inputs, H units, G gates.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from harness.core.model import ModelSpec

Array = jax.Array
Weights = dict[str, Array]  # canonical names, without the replica axis
State = tuple[Array, ...]
Inputs = tuple[Array, ...]
Dot = Callable[[Array, Array], Array]
Advance = Callable[[Inputs, State, Array, Dot, str], State]
OverTime = Callable[[Inputs, Array | None, Array], Array]

# semantics.tf32 -> precision of the recurrent layers' products and of the head's. Neither acts on
# float64, nor on the CPU. Gradients inherit it from the product that they belong to.
PRECISIONS = {
    "off": ("highest", "highest"),
    "recurrent": ("tensorfloat32", "highest"),
    "on": ("tensorfloat32", "tensorfloat32"),
}


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
    recurrent, head = (partial(jnp.matmul, precision=p) for p in PRECISIONS[tf32])
    real = None if mask is None else mask.T[..., None]  # (T, B, 1)
    h = x.swapaxes(0, 1)  # (T, B, F)
    for layer in range(model.layers):
        prefix = f"rnn.{layer}."
        layer_weights = {
            n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)
        }
        h = recurrent_layer(model, layer_weights, h, real, recurrent, unrolled)
    seen = h.swapaxes(0, 1) if model.every_step else h[-1]
    if model.head == "none":
        return seen
    return head(seen, weights["head.kernel"]) + weights["head.bias"]


def recurrent_layer(
    model: ModelSpec, layer_weights: Weights, x: Array, real: Array | None, dot: Dot, unrolled: bool
) -> Array:
    """Return h `(T, B, H)` of every time step; padding keeps the state before.

    `x` is `(T, B, F)` and `real` `(T, B, 1)` or None.
    """
    advance = CELLS[f"gru {model.reset}" if model.cell == "gru" else model.cell]
    input_side, recurrent_side = biases(model, layer_weights)
    a = dot(x, layer_weights["kernel"]) + input_side  # (T, B, GH)
    inputs = (a,) if model.cell != "gru" else (a, jnp.broadcast_to(recurrent_side, a.shape))

    def over_time(inputs: Inputs, real: Array | None, U: Array) -> Array:
        zeros = jnp.zeros((x.shape[1], model.units), x.dtype)
        start = (zeros, zeros) if model.cell == "lstm" else (zeros,)
        step = partial(time_step, advance, U, dot, model.activation)
        return lax.scan(step, start, (inputs, real), unroll=unrolled)[1]

    # In `gru_before`, U also multiplies r ⊙ h_{t−1}.
    run = over_time if advance is gru_before else kernel_gradient_at_once(over_time, dot)
    return run(inputs, real, layer_weights["recurrent_kernel"])


def time_step(
    advance: Advance,
    U: Array,
    dot: Dot,
    activation: str,
    state: State,
    now: tuple[Inputs, Array | None],
) -> tuple[State, Array]:
    """Return the state after one step, and h as the step's output for `lax.scan`."""
    inputs, real = now
    after = advance(inputs, state, U, dot, activation)
    if real is not None:
        pairs = zip(after, state, strict=True)
        after = tuple(jnp.where(real, new, old) for new, old in pairs)
    return after, after[0]


def kernel_gradient_at_once(over_time: OverTime, dot: Dot) -> OverTime:
    """Return `over_time` with ∂L/∂U = Σ_t h_{t−1}ᵀ ∂L/∂(h_{t−1} U) as one product over all steps.

    JAX by itself would add up T small products, and an update takes a third longer. The last of the
    inputs is added to h_{t−1} U, so it has the same error.
    """

    def forward(inputs: Inputs, real: Array | None, U: Array) -> tuple[Array, Any]:
        h, back = jax.vjp(lambda inputs: over_time(inputs, real, U), inputs)
        return h, (h, back)

    def backward(residuals: Any, dh: Array) -> tuple[Inputs, None, Array]:
        h, back = residuals
        (errors,) = back(dh)
        before, error = (a.reshape(-1, a.shape[-1]) for a in (h[:-1], errors[-1][1:]))
        return errors, None, dot(before.T, error)

    function = jax.custom_vjp(over_time)
    function.defvjp(forward, backward)
    return function


def biases(model: ModelSpec, layer_weights: Weights) -> tuple[Array, Array]:
    """Return the biases of the input side `(GH,)` and, in a GRU, of the recurrent `(GH,)`.

    In the other cells a second bias is added to the first.
    """
    first, second = layer_weights["bias"], layer_weights.get("recurrent_bias")
    if model.cell == "gru" and model.biases == "double":
        return first[0], first[1]
    if second is None:
        return first, jnp.zeros_like(first)
    if model.cell == "gru":  # acts on the candidate alone
        return first, jnp.concatenate([jnp.zeros_like(first)[: -model.units], second])
    return first + second, second


def rnn(inputs: Inputs, state: State, U: Array, dot: Dot, activation: str) -> State:
    """Simple cell (Elman 1990): h_t = φ(a_t + h_{t−1} U) with φ tanh or relu.

    The slope of relu at 0 is 0; that of jnp.maximum(a, 0) would be 1/2.
    """
    a = inputs[0] + dot(state[0], U)
    return (jnp.tanh(a) if activation == "tanh" else jax.nn.relu(a),)


def lstm(inputs: Inputs, state: State, U: Array, dot: Dot, activation: str) -> State:
    """LSTM (Hochreiter & Schmidhuber 1997; Gers 2000), with its gates in the order i, f, g, o.

    i, f, o = σ(·), g = tanh(·) of a_t + h_{t−1} U; c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh(c_t).
    """
    (a,), (h, c) = inputs, state
    i, f, g, o = jnp.split(a + dot(h, U), 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru_after(inputs: Inputs, state: State, U: Array, dot: Dot, activation: str) -> State:
    """GRU with the reset after the product, as in cuDNN: h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ.

    With q = h_{t−1} U + b: z = σ(a_z + q_z); r = σ(a_r + q_r); ĥ = tanh(a_h + r ⊙ q_h).
    """
    (a, b), (h,) = inputs, state
    (a_z, a_r, a_h), (q_z, q_r, q_h) = jnp.split(a, 3, -1), jnp.split(dot(h, U) + b, 3, -1)
    z, r = jax.nn.sigmoid(a_z + q_z), jax.nn.sigmoid(a_r + q_r)
    return (z * h + (1 - z) * jnp.tanh(a_h + r * q_h),)


def gru_before(inputs: Inputs, state: State, U: Array, dot: Dot, activation: str) -> State:
    """GRU with the reset before the product (Cho et al. 2014): see `gru_after`, but with
    ĥ = tanh(a_h + (r ⊙ h_{t−1}) U_h + b_h)."""
    (a, b), (h,) = inputs, state
    units = h.shape[-1]
    a = a + b
    gates = jax.nn.sigmoid(a[..., : 2 * units] + dot(h, U[:, : 2 * units]))
    z, r = jnp.split(gates, 2, axis=-1)
    candidate = jnp.tanh(a[..., 2 * units :] + dot(r * h, U[:, 2 * units :]))
    return (z * h + (1 - z) * candidate,)


CELLS = {"rnn": rnn, "lstm": lstm, "gru after": gru_after, "gru before": gru_before}
