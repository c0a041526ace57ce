"""The cells as in the papers: forward and backpropagation through time, one formula a line.

Read this file to learn them. `cells.py` and `gru.py` compute the same for many replicas at once, in
fewer and larger products and in place; `tests/backends/test_textbook.py` holds them to this file,
and this file to central differences.

Symbols: x inputs, h hidden states, c cell states, W input kernel, U recurrent kernel, b bias,
σ the logistic function, φ tanh or relu, `*` the elementwise product, `da` means ∂L/∂a. Shapes:
T time steps, B samples, F inputs, H units; gates lie side by side. `mask` `(T, B, 1)` is 1 at real
steps and 0 at padding, where the state stays as it was: h_t = h_{t−1}, c_t = c_{t−1}.

Each cell is a pair. `forward(x, weights, mask)` returns all states `(T, B, H)` and a record of each
step for `backward`; `backward(dh, W, U, steps)`, with `dh` `(T, B, H)` the error that arrives at
each state from the layer above, returns the gradients of W, U and b. Errors flow from the last step
to the first.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from harness.core.arrays import Array

Weights = tuple[Array, Array, Array]
Store = Callable[[Array], Array]  # how a program keeps states; ours: as they are


def sigmoid(a: Array) -> Array:
    """Logistic function σ(a) = 1 / (1 + e⁻ᵃ)."""
    return 1 / (1 + np.exp(-a))


# `forward` takes any of these; backends have tanh, relu in the simple cell alone, and σ in gates.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": sigmoid,
    "hard_sigmoid": lambda a: np.clip(a / 6 + 0.5, 0, 1),  # of PyTorch and Keras 3
    "hard_sigmoid_keras2": lambda a: np.clip(0.2 * a + 0.5, 0, 1),
}


# ------------------------------------------------------------- simple cell: Elman 1990, Werbos 1990


class RnnStep(NamedTuple):
    """The values of one time step that `rnn_backward` needs."""

    x: Array  # (B, F)
    before: Array  # (B, H), h_{t−1}
    a: Array  # (B, H)
    real: Array  # (B, 1)


def rnn_forward(
    x: Array, weights: Weights, mask: Array, activation: str = "tanh", store: Store = np.asarray
) -> tuple[Array, list[RnnStep]]:
    """Compute the simple cell's states. `weights`: W `(F, H)`, U `(H, H)`, b `(H,)`."""
    W, U, b = weights
    h, states, steps = np.zeros((x.shape[1], len(U))), [], []
    for x_t, real in zip(x, mask, strict=True):
        a = x_t @ W + h @ U + b  # (B, H)
        steps.append(RnnStep(x_t, h, a, real))
        new = ACTIVATIONS[activation](a)
        h = store(real * new + (1 - real) * h)
        states.append(h)
    return np.array(states), steps


def rnn_backward(
    dh: Array, W: Array, U: Array, steps: list[RnnStep], activation: str = "tanh"
) -> Weights:
    """Backpropagation through time of the simple cell."""
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros(len(U))
    carried = np.zeros_like(dh[0])  # ∂L/∂h_t that arrives through the later steps
    for dh_t, s in zip(dh[::-1], steps[::-1], strict=True):
        d = dh_t + carried
        slope = 1 - np.tanh(s.a) ** 2 if activation == "tanh" else s.a > 0  # φ'(a)
        da = s.real * d * slope
        dW += s.x.T @ da
        dU += s.before.T @ da
        db += da.sum(axis=0)
        carried = da @ U.T + (1 - s.real) * d
    return dW, dU, db


# -------------------------------- LSTM: Hochreiter & Schmidhuber 1997, forget gate of Gers et al.
# 2000


class LstmStep(NamedTuple):
    """The values of one time step that `lstm_backward` needs."""

    x: Array  # (B, F)
    before: Array  # (B, H), h_{t−1}
    c_before: Array  # (B, H), c_{t−1}
    gates: list[Array]  # i, f, g, o: (B, H) each
    c: Array  # (B, H), as it is before the mask
    real: Array  # (B, 1)


def lstm_forward(
    x: Array,
    weights: Weights,
    mask: Array,
    activation: str = "tanh",
    gate: str = "sigmoid",
    store: Store = np.asarray,
) -> tuple[Array, list[LstmStep]]:
    """Compute the LSTM's states. `weights`: W `(F, 4H)`, U `(H, 4H)`, b `(4H,)`, as i, f, g, o."""
    W, U, b = weights
    σ, φ = ACTIVATIONS[gate], ACTIVATIONS[activation]
    h = c = np.zeros((x.shape[1], len(U)))
    states, steps = [], []
    for x_t, real in zip(x, mask, strict=True):
        a_i, a_f, a_g, a_o = np.split(x_t @ W + h @ U + b, 4, axis=1)  # (B, H) each
        i = σ(a_i)  # input gate
        f = σ(a_f)  # forget gate
        g = φ(a_g)  # candidate
        o = σ(a_o)  # output gate
        new_c = f * c + i * g
        new_h = o * φ(new_c)
        steps.append(LstmStep(x_t, h, c, [i, f, g, o], new_c, real))
        h = store(real * new_h + (1 - real) * h)
        c = store(real * new_c + (1 - real) * c)
        states.append(h)
    return np.array(states), steps


def lstm_backward(dh: Array, W: Array, U: Array, steps: list[LstmStep]) -> Weights:
    """Backpropagation through time of the LSTM: two errors flow back, through h and through c."""
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros(U.shape[1])
    carried = carried_c = np.zeros_like(dh[0])
    for dh_t, s in zip(dh[::-1], steps[::-1], strict=True):
        i, f, g, o = s.gates
        d = dh_t + carried
        d_new_h = s.real * d
        d_new_c = s.real * carried_c + d_new_h * o * (1 - np.tanh(s.c) ** 2)
        da_i = d_new_c * g * i * (1 - i)
        da_f = d_new_c * s.c_before * f * (1 - f)
        da_g = d_new_c * i * (1 - g**2)
        da_o = d_new_h * np.tanh(s.c) * o * (1 - o)
        da = np.concatenate([da_i, da_f, da_g, da_o], axis=1)  # (B, 4H)
        dW += s.x.T @ da
        dU += s.before.T @ da
        db += da.sum(axis=0)
        carried = da @ U.T + (1 - s.real) * d
        carried_c = d_new_c * f + (1 - s.real) * carried_c
    return dW, dU, db


# ------------------------ GRU: Cho et al. 2014 (reset before), and as cuDNN computes it (reset
# after)


class GruStep(NamedTuple):
    """The values of one time step that `gru_backward` needs."""

    x: Array  # (B, F)
    before: Array  # (B, H), h_{t−1}
    z: Array  # (B, H), update gate
    r: Array  # (B, H), reset gate
    candidate: Array  # (B, H), ĥ
    q_h: Array  # (B, H), the factor of the reset gate in the candidate
    real: Array  # (B, 1)


def gru_forward(
    x: Array,
    weights: Weights,
    mask: Array,
    reset: str = "after",
    activation: str = "tanh",
    gate: str = "sigmoid",
    store: Store = np.asarray,
) -> tuple[Array, list[GruStep]]:
    """Compute the GRU's states. `weights`: W `(F, 3H)`, U `(H, 3H)`, b `(2, 3H)`, as z, r, ĥ.

    The rows of b act on the input side and on the recurrent side.
    """
    W, U, b = weights
    σ, φ = ACTIVATIONS[gate], ACTIVATIONS[activation]
    U_z, U_r, U_h = np.split(U, 3, axis=1)
    b_z, b_r, b_h = np.split(b[1], 3)
    h, states, steps = np.zeros((x.shape[1], len(U))), [], []
    for x_t, real in zip(x, mask, strict=True):
        p_z, p_r, p_h = np.split(x_t @ W + b[0], 3, axis=1)  # (B, H) each
        z = σ(p_z + h @ U_z + b_z)
        r = σ(p_r + h @ U_r + b_r)
        q_h = h @ U_h + b_h if reset == "after" else h
        candidate = φ(p_h + (r * q_h if reset == "after" else (r * q_h) @ U_h + b_h))
        steps.append(GruStep(x_t, h, z, r, candidate, q_h, real))
        new = z * h + (1 - z) * candidate
        h = store(real * new + (1 - real) * h)
        states.append(h)
    return np.array(states), steps


def gru_backward(
    dh: Array, W: Array, U: Array, steps: list[GruStep], reset: str = "after"
) -> Weights:
    """Backpropagation through time of the GRU: z carries part of the error back directly."""
    U_z, U_r, U_h = np.split(U, 3, axis=1)
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros((2, U.shape[1]))
    carried = np.zeros_like(dh[0])
    for dh_t, s in zip(dh[::-1], steps[::-1], strict=True):
        d = dh_t + carried
        d_new = s.real * d
        dp_z = d_new * (s.before - s.candidate) * s.z * (1 - s.z)
        dp_h = d_new * (1 - s.z) * (1 - s.candidate**2)
        d_reset = dp_h if reset == "after" else dp_h @ U_h.T  # ∂L/∂(r ⊙ q_h)
        dp_r = d_reset * s.q_h * s.r * (1 - s.r)
        dq_h = d_reset * s.r  # ∂L/∂q_h
        dp = np.concatenate([dp_z, dp_r, dp_h], axis=1)  # (B, 3H), on the input side
        seen = s.before if reset == "after" else s.r * s.before  # what U_h multiplies
        d_seen = dq_h if reset == "after" else dp_h
        dW += s.x.T @ dp
        dU += np.concatenate([s.before.T @ dp_z, s.before.T @ dp_r, seen.T @ d_seen], axis=1)
        db += [dp.sum(axis=0), np.concatenate([dp_z, dp_r, d_seen], axis=1).sum(axis=0)]
        d_before = dq_h @ U_h.T if reset == "after" else dq_h  # through the candidate
        carried = d_new * s.z + dp_z @ U_z.T + dp_r @ U_r.T + d_before + (1 - s.real) * d
    return dW, dU, db
