"""The network in `keras.ops` on stacked weights: all replicas in one batched product, one loop over
time. XLA compiles it fast, since the loop's body is compiled once, whatever the length.

A cell is `advance(a, state, U, b, activation) -> state`: one time step from the projected inputs
`a` `(R, B, GH)` and the state, a tuple with h `(R, B, H)` first. TensorFlow differentiates it.

Weights are canonical, `(R, …)` each (`harness/model.py`): R replicas, B samples, T time steps, F
inputs, H units, G gates.
"""

from typing import Any

import keras
import tensorflow as tf

from harness.model import ModelSpec

ops: Any = keras.ops  # whose functions state too wide a type to work with
Weights = dict[str, Any]
State = tuple[Any, ...]


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
    T, R, B, F = x.shape
    flat = ops.reshape(ops.transpose(x, (1, 0, 2, 3)), (R, T * B, F))
    a = ops.reshape(ops.matmul(flat, W) + b[:, None], (R, T, B, W.shape[-1]))
    return ops.transpose(a, (1, 0, 2, 3))


def recurrent_layer(model: ModelSpec, own: Weights, x: Any, real: Any) -> Any:
    """`x` `(T, R, B, F)` and `real` `(T, R, B, 1)` -> h `(T, R, B, H)`; padding keeps the state."""
    advance = CELLS[f"gru {model.reset}" if model.cell == "gru" else model.cell]
    input_side, recurrent_side = biases(model, own)
    a = product(
        x, own["kernel"], input_side
    )  # (T, R, B, GH), before the loop: no step waits for it
    T, R, B = x.shape[:3]
    inputs = tf.TensorArray(x.dtype, T).unstack(
        a
    )  # of a slice, the gradient would be as large as a
    states = tf.TensorArray(x.dtype, T, element_shape=(R, B, model.units))

    def time_step(t: Any, state: State, states: Any) -> tuple:
        kernel = own["recurrent_kernel"]
        after = advance(inputs.read(t), state, kernel, recurrent_side, model.activation)
        if real is not None:
            pairs = zip(after, state, strict=True)
            after = tuple(ops.where(real[t], new, old) for new, old in pairs)
        return t + 1, after, states.write(t, after[0])

    zeros = tf.zeros((R, B, model.units), x.dtype)
    start = (0, (zeros, zeros) if model.cell == "lstm" else (zeros,), states)
    return tf.while_loop(lambda t, *_: t < T, time_step, start, maximum_iterations=T)[-1].stack()


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


def rnn(a: Any, state: State, U: Any, b: Any, activation: str) -> State:
    """h_t = φ(a_t + h_{t−1} U) (Elman 1990)."""
    a = a + ops.matmul(state[0], U)
    return (ops.tanh(a) if activation == "tanh" else ops.relu(a),)


def lstm(a: Any, state: State, U: Any, b: Any, activation: str) -> State:
    """c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh(c_t), gates from a_t + h_{t−1} U in the order
    i, f, g, o (Hochreiter & Schmidhuber 1997; Gers 2000)."""
    h, c = state
    i, f, g, o = ops.split(a + ops.matmul(h, U), 4, axis=-1)
    c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
    return ops.sigmoid(o) * ops.tanh(c), c


def gru_after(a: Any, state: State, U: Any, b: Any, activation: str) -> State:
    """h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ, gates z, r, h. With q = h_{t−1} U + b, as in cuDNN:
    z = σ(a_z + q_z); r = σ(a_r + q_r); ĥ = tanh(a_h + r ⊙ q_h)."""
    (h,) = state
    a_z, a_r, a_h = ops.split(a, 3, axis=-1)
    q_z, q_r, q_h = ops.split(ops.matmul(h, U) + b, 3, axis=-1)
    z, r = ops.sigmoid(a_z + q_z), ops.sigmoid(a_r + q_r)
    return (z * h + (1 - z) * ops.tanh(a_h + r * q_h),)


def gru_before(a: Any, state: State, U: Any, b: Any, activation: str) -> State:
    """As `gru_after`, but ĥ = tanh(a_h + (r ⊙ h_{t−1}) U_h + b_h) (Cho et al. 2014)."""
    (h,), units = state, U.shape[1]
    a = a + b
    gates = ops.sigmoid(a[..., : 2 * units] + ops.matmul(h, U[..., : 2 * units]))
    z, r = ops.split(gates, 2, axis=-1)
    candidate = ops.tanh(a[..., 2 * units :] + ops.matmul(r * h, U[..., 2 * units :]))
    return (z * h + (1 - z) * candidate,)


CELLS = {"rnn": rnn, "lstm": lstm, "gru after": gru_after, "gru before": gru_before}
