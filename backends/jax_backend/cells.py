"""The network as pure functions of one replica's weights; `vmap` adds the replica axis.

A cell is `advance(inputs, state, U, dot, activation) -> state`: one time step from the state, a
tuple with h `(B, H)` first, and from inputs `(B, GH)` that no step has to wait for: the projected
ones and, in a GRU, the recurrent side's bias. `lax.scan` runs it over time and JAX differentiates
that, so backpropagation through time is nowhere written down.

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
    """`x` `(B, T, F)` and `mask` `(B, T)` -> outputs `(B, O)`, or `(B, T, O)` at every step."""
    recurrent, head = (partial(jnp.matmul, precision=p) for p in PRECISIONS[tf32])
    real = None if mask is None else mask.T[..., None]  # (T, B, 1)
    h = x.swapaxes(0, 1)  # (T, B, F)
    for layer in range(model.layers):
        prefix = f"rnn.{layer}."
        own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
        h = recurrent_layer(model, own, h, real, recurrent, unrolled)
    seen = h.swapaxes(0, 1) if model.every_step else h[-1]
    if model.head == "none":
        return seen
    return head(seen, weights["head.kernel"]) + weights["head.bias"]


def recurrent_layer(
    model: ModelSpec, own: Weights, x: Array, real: Array | None, dot: Dot, unrolled: bool
) -> Array:
    """`x` `(T, B, F)` and `real` `(T, B, 1)` -> h `(T, B, H)`; padding keeps the state before."""
    advance = CELLS[f"gru {model.reset}" if model.cell == "gru" else model.cell]
    input_side, recurrent_side = biases(model, own)
    a = dot(x, own["kernel"]) + input_side  # (T, B, GH)
    inputs = (a,) if model.cell != "gru" else (a, jnp.broadcast_to(recurrent_side, a.shape))

    def over_time(inputs: Inputs, real: Array | None, U: Array) -> Array:
        zeros = jnp.zeros((x.shape[1], model.units), x.dtype)
        start = (zeros, zeros) if model.cell == "lstm" else (zeros,)
        step = partial(time_step, advance, U, dot, model.activation)
        return lax.scan(step, start, (inputs, real), unroll=unrolled)[1]

    # In `gru_before` more than h is multiplied with U.
    run = over_time if advance is gru_before else kernel_gradient_at_once(over_time, dot)
    return run(inputs, real, own["recurrent_kernel"])


def time_step(
    advance: Advance,
    U: Array,
    dot: Dot,
    activation: str,
    state: State,
    now: tuple[Inputs, Array | None],
) -> tuple[State, Array]:
    """The state after one step, twice over: h is also the step's output."""
    inputs, real = now
    after = advance(inputs, state, U, dot, activation)
    if real is not None:
        kept = zip(after, state, strict=True)
        after = tuple(jnp.where(real, new, old) for new, old in kept)
    return after, after[0]


def kernel_gradient_at_once(over_time: OverTime, dot: Dot) -> OverTime:
    """The same function of inputs, real and U, with ∂L/∂U = Σ_t h_{t−1}ᵀ ∂L/∂(h_{t−1} U) as one
    product over all time steps. JAX by itself would add up T small ones, which takes a third longer
    in all. The last of the inputs is added to h_{t−1} U, so it has the same error.
    """

    def forward(inputs: Inputs, real: Array | None, U: Array) -> tuple[Array, Any]:
        h, back = jax.vjp(lambda inputs: over_time(inputs, real, U), inputs)
        return h, (h, back)

    def backward(kept: Any, dh: Array) -> tuple[Inputs, None, Array]:
        h, back = kept
        (errors,) = back(dh)
        before, error = (a.reshape(-1, a.shape[-1]) for a in (h[:-1], errors[-1][1:]))
        return errors, None, dot(before.T, error)

    again = jax.custom_vjp(over_time)
    again.defvjp(forward, backward)
    return again


def biases(model: ModelSpec, own: Weights) -> tuple[Array, Array]:
    """What acts on the input side and, for the GRU, on the recurrent side: `(GH,)` each.

    In the other cells both act in the same place, and the second one is added to the first.
    """
    first, second = own["bias"], own.get("recurrent_bias")
    if model.cell == "gru" and model.biases == "double":
        return first[0], first[1]
    if second is None:
        return first, jnp.zeros_like(first)
    if model.cell == "gru":  # a second one for the candidate alone
        return first, jnp.concatenate([jnp.zeros_like(first)[: -model.units], second])
    return first + second, second


def rnn(inputs: Inputs, state: State, U: Array, dot: Dot, activation: str) -> State:
    """h_t = φ(a_t + h_{t−1} U) (Elman 1990); relu's slope at 0 is 0, where jnp.maximum(a, 0) would
    have 1/2."""
    a = inputs[0] + dot(state[0], U)
    return (jnp.tanh(a) if activation == "tanh" else jax.nn.relu(a),)


def lstm(inputs: Inputs, state: State, U: Array, dot: Dot, activation: str) -> State:
    """c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh(c_t), gates from a_t + h_{t−1} U in the order
    i, f, g, o (Hochreiter & Schmidhuber 1997; Gers 2000)."""
    (a,), (h, c) = inputs, state
    i, f, g, o = jnp.split(a + dot(h, U), 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru_after(inputs: Inputs, state: State, U: Array, dot: Dot, activation: str) -> State:
    """h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ, gates z, r, h. With q = h_{t−1} U + b, as in cuDNN:
    z = σ(a_z + q_z); r = σ(a_r + q_r); ĥ = tanh(a_h + r ⊙ q_h)."""
    (a, b), (h,) = inputs, state
    (a_z, a_r, a_h), (q_z, q_r, q_h) = jnp.split(a, 3, -1), jnp.split(dot(h, U) + b, 3, -1)
    z, r = jax.nn.sigmoid(a_z + q_z), jax.nn.sigmoid(a_r + q_r)
    return (z * h + (1 - z) * jnp.tanh(a_h + r * q_h),)


def gru_before(inputs: Inputs, state: State, U: Array, dot: Dot, activation: str) -> State:
    """As `gru_after`, but ĥ = tanh(a_h + (r ⊙ h_{t−1}) U_h + b_h) (Cho et al. 2014)."""
    (a, b), (h,) = inputs, state
    units = h.shape[-1]
    a = a + b
    gates = jax.nn.sigmoid(a[..., : 2 * units] + dot(h, U[:, : 2 * units]))
    z, r = jnp.split(gates, 2, axis=-1)
    candidate = jnp.tanh(a[..., 2 * units :] + dot(r * h, U[:, 2 * units :]))
    return (z * h + (1 - z) * candidate,)


CELLS = {"rnn": rnn, "lstm": lstm, "gru after": gru_after, "gru before": gru_before}
