"""The network in `keras.ops` on stacked weights: all replicas in one batched product.

Time is one loop (`loop.py`), which XLA compiles fast: its body is compiled once, whatever the
length.

A cell is `advance(now, state, inner, activation) -> state`, one time step. `now` are its inputs
`(R, B, ·)`, the last with the product h_{t−1} U added; `state` is a tuple with h `(R, B, H)` first;
`inner` holds U_h of the GRU with the reset before, which multiplies with it itself, else nothing.

Weights are canonical, `(R, …)` each (`harness/core/model.py`): R replicas, B samples, T time steps,
F inputs, H units, G gates.
"""

from typing import Any

import keras
import tensorflow as tf

from backends.keras_backend.loop import by_replica, over_time
from harness.core.model import ModelSpec

ops: Any = keras.ops  # Any: the declared types of its functions are too wide to check
Weights = dict[str, Any]
State = tuple[Any, ...]
Inputs = tuple[Any, ...]


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
    seen = h if model.every_step else h[-1]
    if not model.every_step:
        seen = seen[None]
    if model.head == "dense":
        seen = product(seen, weights["head.kernel"], weights["head.bias"])
    return ops.transpose(seen, (1, 2, 0, 3)) if model.every_step else seen[0]


def product(x: Any, W: Any, b: Any) -> Any:
    """Compute x_t W + b of all time steps at once: `(T, R, B, F)` -> `(T, R, B, GH)`.

    W is not broadcast along T: TensorFlow 2.21's oneDNN kernel for that product crashes (T = 10,
    B = 100, F = 1).
    """
    T, R, B, _ = x.shape
    a = ops.reshape(ops.matmul(by_replica(x), W) + b[:, None], (R, T, B, W.shape[-1]))
    return ops.transpose(a, (1, 0, 2, 3))


def recurrent_layer(model: ModelSpec, layer_weights: Weights, x: Any, real: Any) -> Any:
    """Return h `(T, R, B, H)` of every time step; padding keeps the state before.

    `x` is `(T, R, B, F)` and `real` `(T, R, B, 1)` or None.
    """
    advance = CELLS[f"gru {model.reset}" if model.cell == "gru" else model.cell]
    inputs, U, inner = operands(model, layer_weights, x)
    zeros = tf.zeros((*x.shape[1:3], model.units), x.dtype)
    start = (zeros, zeros) if model.cell == "lstm" else (zeros,)

    def step(t: Any, now: Inputs, state: State, inner: tuple) -> State:
        after = advance(now, state, inner, model.activation)
        if real is None:
            return after
        return tuple(ops.where(real[t], new, old) for new, old in zip(after, state, strict=True))

    return over_time(step, inputs, start, U, inner)


def operands(model: ModelSpec, layer_weights: Weights, x: Any) -> tuple[tuple, Any, tuple]:
    """Return the arguments of `over_time` for a layer: its inputs, U and the inner kernels.

    In a GRU, the first input is that of the candidate.
    """
    input_side, recurrent_side = biases(model, layer_weights)
    U, a = layer_weights["recurrent_kernel"], product(x, layer_weights["kernel"], input_side)
    if model.cell != "gru":
        return (a,), U, ()
    gates = 2 * model.units
    a_gates, a_h = a[..., :gates] + recurrent_side[..., :gates], a[..., gates:]
    b_h = recurrent_side[..., gates:]
    if model.reset == "after":
        last = ops.concatenate([a_gates, ops.broadcast_to(b_h, a_h.shape)], -1)
        return (a_h, last), U, ()
    return (a_h + b_h, a_gates), U[..., :gates], (U[..., gates:],)


def biases(model: ModelSpec, layer_weights: Weights) -> tuple[Any, Any]:
    """Return the biases of the input side `(R, GH)` and, in a GRU, of the recurrent `(R, 1, GH)`.

    In the other cells a second bias is added to the first.
    """
    first, second = layer_weights["bias"], layer_weights.get("recurrent_bias")
    if model.cell != "gru":
        return (first if second is None else first + second), None
    if model.biases == "double":
        return first[:, 0], first[:, 1:]
    zeros = ops.zeros_like(first)
    if second is not None:  # acts on the candidate alone
        zeros = ops.concatenate([zeros[:, : -model.units], second], 1)
    return first, zeros[:, None]


def rnn(now: Inputs, state: State, inner: tuple, activation: str) -> State:
    """Simple cell (Elman 1990): h_t = φ(a_t + h_{t−1} U) with φ tanh or relu."""
    (a,) = now
    return (ops.tanh(a) if activation == "tanh" else ops.relu(a),)


def lstm(now: Inputs, state: State, inner: tuple, activation: str) -> State:
    """LSTM (Hochreiter & Schmidhuber 1997; Gers 2000), with its gates in the order i, f, g, o.

    i, f, o = σ(·), g = tanh(·) of a_t + h_{t−1} U; c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh(c_t).
    One tanh computes all gates, with σ(a) = ½ tanh(½ a) + ½: XLA would compute four separate ones
    several times over.
    """
    (a,), (_, c) = now, state
    half = ops.repeat(ops.array([0.5, 0.5, 1, 0.5], a.dtype), a.shape[-1] // 4)
    i, f, g, o = ops.split(half * ops.tanh(half * a) + (1 - half), 4, axis=-1)
    c = f * c + i * g
    return o * ops.tanh(c), c


def sigmoid(a: Any) -> Any:
    """Compute σ(a) from tanh, which is faster in XLA than from exp."""
    return 0.5 * ops.tanh(0.5 * a) + 0.5


def gru_after(now: Inputs, state: State, inner: tuple, activation: str) -> State:
    """GRU with the reset after the product, as in cuDNN: h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ.

    With q = h_{t−1} U + b: z = σ(a_z + q_z); r = σ(a_r + q_r); ĥ = tanh(a_h + r ⊙ q_h).
    """
    (a_h, gates), (h,) = now, state
    a_z, a_r, q_h = ops.split(gates, 3, axis=-1)
    z, r = sigmoid(a_z), sigmoid(a_r)
    return (z * h + (1 - z) * ops.tanh(a_h + r * q_h),)


def gru_before(now: Inputs, state: State, inner: tuple, activation: str) -> State:
    """GRU with the reset before the product (Cho et al. 2014): see `gru_after`, but with
    ĥ = tanh(a_h + (r ⊙ h_{t−1}) U_h + b_h)."""
    (a_h, gates), (h,), (U_h,) = now, state, inner
    z, r = ops.split(sigmoid(gates), 2, axis=-1)
    return (z * h + (1 - z) * ops.tanh(a_h + ops.matmul(r * h, U_h)),)


CELLS = {"rnn": rnn, "lstm": lstm, "gru after": gru_after, "gru before": gru_before}
