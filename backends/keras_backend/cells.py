"""The network in `keras.ops` on stacked weights: all replicas in one batched product, one loop over
time (`loop.py`). XLA compiles it fast, since the loop's body is compiled once, whatever the
length.

A cell is `advance(now, state, inner, activation) -> state`: one time step from its inputs
`(R, B, ·)`, the last of which has the product h_{t−1} U in it, from the state, a tuple with h
`(R, B, H)` first, and in one cell from a kernel that it multiplies by itself.

Weights are canonical, `(R, …)` each (`harness/core/model.py`): R replicas, B samples, T time steps,
F inputs, H units, G gates.
"""

from typing import Any

import keras
import tensorflow as tf

from backends.keras_backend.loop import by_replica, over_time
from harness.core.model import ModelSpec

ops: Any = keras.ops  # whose functions state too wide a type to work with
Weights = dict[str, Any]
State = tuple[Any, ...]
Inputs = tuple[Any, ...]


def network(model: ModelSpec, weights: Weights, x: Any, mask: Any) -> Any:
    """`x` `(R, B, T, F)` and `mask` `(R, B, T)` -> `(R, B, O)`, or `(R, B, T, O)` at every step."""
    real = None if mask is None else ops.transpose(mask, (2, 0, 1))[..., None]  # (T, R, B, 1)
    h = ops.transpose(x, (2, 0, 1, 3))  # (T, R, B, F)
    for layer in range(model.layers):
        prefix = f"rnn.{layer}."
        own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
        h = recurrent_layer(model, own, h, real)
    seen = h if model.every_step else h[-1]
    if not model.every_step:
        seen = seen[None]
    if model.head == "dense":
        seen = product(seen, weights["head.kernel"], weights["head.bias"])
    return ops.transpose(seen, (1, 2, 0, 3)) if model.every_step else seen[0]


def product(x: Any, W: Any, b: Any) -> Any:
    """x_t W + b of all time steps at once: `(T, R, B, F)` -> `(T, R, B, GH)`. Not as a product that
    repeats W along T: TensorFlow 2.21's oneDNN kernel for it crashes (T = 10, B = 100, F = 1)."""
    T, R, B, _ = x.shape
    a = ops.reshape(ops.matmul(by_replica(x), W) + b[:, None], (R, T, B, W.shape[-1]))
    return ops.transpose(a, (1, 0, 2, 3))


def recurrent_layer(model: ModelSpec, own: Weights, x: Any, real: Any) -> Any:
    """`x` `(T, R, B, F)` and `real` `(T, R, B, 1)` -> h `(T, R, B, H)`; padding keeps the state."""
    advance = CELLS[f"gru {model.reset}" if model.cell == "gru" else model.cell]
    inputs, U, inner = operands(model, own, x)
    zeros = tf.zeros((*x.shape[1:3], model.units), x.dtype)
    start = (zeros, zeros) if model.cell == "lstm" else (zeros,)

    def step(t: Any, now: Inputs, state: State, inner: tuple) -> State:
        after = advance(now, state, inner, model.activation)
        if real is None:
            return after
        return tuple(ops.where(real[t], new, old) for new, old in zip(after, state, strict=True))

    return over_time(step, inputs, start, U, inner)


def operands(model: ModelSpec, own: Weights, x: Any) -> tuple[tuple, Any, tuple]:
    """A layer's inputs of all time steps, its U for the product, and kernels beside it. In a GRU,
    the first input is that of the candidate."""
    input_side, recurrent_side = biases(model, own)
    U, a = own["recurrent_kernel"], product(x, own["kernel"], input_side)
    if model.cell != "gru":
        return (a,), U, ()
    gates = 2 * model.units
    a_gates, a_h = a[..., :gates] + recurrent_side[..., :gates], a[..., gates:]
    b_h = recurrent_side[..., gates:]
    if model.reset == "after":
        last = ops.concatenate([a_gates, ops.broadcast_to(b_h, a_h.shape)], -1)
        return (a_h, last), U, ()
    return (a_h + b_h, a_gates), U[..., :gates], (U[..., gates:],)


def biases(model: ModelSpec, own: Weights) -> tuple[Any, Any]:
    """What acts on the input side `(R, GH)` and, in a GRU, on the recurrent side `(R, 1, GH)`; in
    the other cells both act in one place."""
    first, second = own["bias"], own.get("recurrent_bias")
    if model.cell != "gru":
        return (first if second is None else first + second), None
    if model.biases == "double":
        return first[:, 0], first[:, 1:]
    zeros = ops.zeros_like(first)
    if second is not None:  # of the candidate alone
        zeros = ops.concatenate([zeros[:, : -model.units], second], 1)
    return first, zeros[:, None]


def rnn(now: Inputs, state: State, inner: tuple, activation: str) -> State:
    """h_t = φ(a_t + h_{t−1} U) (Elman 1990)."""
    (a,) = now
    return (ops.tanh(a) if activation == "tanh" else ops.relu(a),)


def lstm(now: Inputs, state: State, inner: tuple, activation: str) -> State:
    """c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh(c_t), gates from a_t + h_{t−1} U in the order
    i, f, g, o (Hochreiter & Schmidhuber 1997; Gers 2000). One tanh serves all gates, with
    σ(a) = ½ tanh(½ a) + ½: XLA would compute four separate ones several times over."""
    (a,), (_, c) = now, state
    half = ops.repeat(ops.array([0.5, 0.5, 1, 0.5], a.dtype), a.shape[-1] // 4)
    i, f, g, o = ops.split(half * ops.tanh(half * a) + (1 - half), 4, axis=-1)
    c = f * c + i * g
    return o * ops.tanh(c), c


def sigmoid(a: Any) -> Any:
    """σ(a), which XLA computes faster from tanh than from exp."""
    return 0.5 * ops.tanh(0.5 * a) + 0.5


def gru_after(now: Inputs, state: State, inner: tuple, activation: str) -> State:
    """h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ, gates z, r, h. With q = h_{t−1} U + b, as in cuDNN:
    z = σ(a_z + q_z); r = σ(a_r + q_r); ĥ = tanh(a_h + r ⊙ q_h)."""
    (a_h, gates), (h,) = now, state
    a_z, a_r, q_h = ops.split(gates, 3, axis=-1)
    z, r = sigmoid(a_z), sigmoid(a_r)
    return (z * h + (1 - z) * ops.tanh(a_h + r * q_h),)


def gru_before(now: Inputs, state: State, inner: tuple, activation: str) -> State:
    """As `gru_after`, but ĥ = tanh(a_h + (r ⊙ h_{t−1}) U_h + b_h) (Cho et al. 2014)."""
    (a_h, gates), (h,), (U_h,) = now, state, inner
    z, r = ops.split(sigmoid(gates), 2, axis=-1)
    return (z * h + (1 - z) * ops.tanh(a_h + ops.matmul(r * h, U_h)),)


CELLS = {"rnn": rnn, "lstm": lstm, "gru after": gru_after, "gru before": gru_before}
