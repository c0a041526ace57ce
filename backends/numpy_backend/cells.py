"""Recurrent layers with BPTT by hand: the simple cell and the LSTM; the GRU is in `gru.py`.

Each cell is a pair `forward(x, weights, mask, activation, work) -> h, cache` and
`backward(dh, cache, work) -> da, gradients`. da is the error of the projected inputs x W + b, from
which `network.py` takes ∂L/∂x = da Wᵀ. Backpropagation through time is the loop in `backward`.
Functions that the cells share are in `recurrence.py`; large arrays are those of `work`.

Symbols: x inputs, h hidden states, W input kernel, U recurrent kernel, b bias, a pre-activations,
σ the logistic function, ⊙ the elementwise product; `da` means ∂L/∂a. Shapes: R replicas, T time
steps, B samples of the batch, F inputs, H units, G gates. Arrays over time are `(R, T, B, ·)`.

`mask` `(R, T, B, 1)` is None or 1 at real steps and 0 at padding, where the state stays as it was:
h_t = h_{t−1}. So the state's error passes such a step unchanged, and the gates there get none.

The inputs of all time steps are projected in one product before the loop, and the gradients of the
kernels are taken in one product after it; only what depends on the previous step is inside.
"""

from typing import Any

import numpy as np

from backends.numpy_backend.gru import (
    gru_after_backward,
    gru_after_forward,
    gru_before_backward,
    gru_before_forward,
)
from backends.numpy_backend.recurrence import (
    Array,
    Mask,
    Weights,
    Workspace,
    keep_state,
    pass_padding,
    project,
    project_backward,
    recurrent_backward,
    transposed,
)

# ------------------------------------------------------------------ simple cell (Elman 1990)


def rnn_forward(
    x: Array, weights: Weights, mask: Mask, activation: str, work: Workspace
) -> tuple[Array, Any]:
    """Simple cell: h_t = φ(x_t W + h_{t−1} U + b) with φ tanh or relu."""
    W, U, b = weights
    h, x_1 = project(x, W, b, work)  # (R, T, B, H); pre-activations become states in place
    for t in range(h.shape[1]):
        a = h[:, t]
        if t:
            a += h[:, t - 1] @ U
        if activation == "tanh":
            np.tanh(a, out=a)
        else:
            np.maximum(a, 0, out=a)
        keep_state(h, t, mask)
    return h, (x_1, U, mask, activation, h)


def rnn_backward(dh: Array, cache: Any, work: Workspace) -> tuple[Array, Weights]:
    """BPTT of the simple cell, from last to first step: da_t = φ'(a_t) ⊙ (dh_t + da_{t+1} Uᵀ)."""
    x_1, U, mask, activation, h = cache
    UT = transposed(U)
    slope = work.array("slope", h.shape, h.dtype)
    if activation == "tanh":
        np.multiply(h, h, out=slope)
        np.subtract(1, slope, out=slope)
    else:
        np.greater(h, 0, out=slope)
    if mask is not None:
        slope *= mask
    da = work.array("da", h.shape, h.dtype)
    carried: Array | None = None  # ∂L/∂h_t that arrives through step t + 1
    for t in reversed(range(h.shape[1])):
        dh_t = dh[:, t] if carried is None else carried + dh[:, t]
        np.multiply(dh_t, slope[:, t], out=da[:, t])
        carried = pass_padding(da[:, t] @ UT, dh_t, t, mask)  # (R, B, H)
    dW, db = project_backward(x_1, da)
    return da, (dW, recurrent_backward(h, da), db)


# ------------------------------------------------ LSTM (Hochreiter & Schmidhuber 1997; Gers 2000)


def lstm_forward(
    x: Array, weights: Weights, mask: Mask, activation: str, work: Workspace
) -> tuple[Array, Any]:
    """LSTM, with its gates in the order i, f, g, o.

    i, f, o = σ(·), g = tanh(·) of x_t W + h_{t−1} U + b; c_t = f ⊙ c_{t−1} + i ⊙ g;
    h_t = o ⊙ tanh(c_t).
    """
    assert activation == "tanh"
    W, U, b = weights
    R, H = U.shape[:2]
    # σ(a) = ½ tanh(½ a) + ½, where halved weights give ½ a: a power of two loses nothing.
    half = np.repeat(np.array([0.5, 0.5, 1, 0.5], U.dtype), H)
    half_U, rest = U * half, 1 - half
    gates, x_1 = project(x, W * half, b * half, work)  # (R, T, B, 4H); become gates in place
    T, B = gates.shape[1:3]
    names = ("h", "c", "tanh_c")
    h, c, tanh_c = (work.array(name, (R, T, B, H), gates.dtype) for name in names)
    for t in range(T):
        a = gates[:, t]  # (R, B, 4H)
        if t:
            a += h[:, t - 1] @ half_U
        np.tanh(a, out=a)
        a *= half
        a += rest
        np.multiply(a[..., :H], a[..., 2 * H : 3 * H], out=c[:, t])
        if t:
            c[:, t] += a[..., H : 2 * H] * c[:, t - 1]
        np.tanh(c[:, t], out=tanh_c[:, t])
        np.multiply(a[..., 3 * H :], tanh_c[:, t], out=h[:, t])
        keep_state(c, t, mask)
        keep_state(h, t, mask)
    return h, (x_1, U, mask, gates, c, tanh_c, h)


def lstm_backward(dh: Array, cache: Any, work: Workspace) -> tuple[Array, Weights]:
    """BPTT of the LSTM: two errors flow back, through the states h and through the cells c.

    The factors of the gates' errors depend on no later step, so they are computed for all time
    steps at once: da_i = dc ⊙ g ⊙ i ⊙ (1−i), da_f = dc ⊙ c_{t−1} ⊙ f ⊙ (1−f),
    da_g = dc ⊙ i ⊙ (1−g²), da_o = dh ⊙ tanh(c) ⊙ o ⊙ (1−o).
    """
    x_1, U, mask, gates, c, tanh_c, h = cache
    (R, T, B, H), UT = h.shape, transposed(U)
    i, f, g, o = (gates[..., k * H : (k + 1) * H] for k in range(4))  # (R, T, B, H) each
    da = work.array("da", (R, T, B, 4, H), h.dtype)  # first the factors, then in place the errors
    np.multiply(g, i * (1 - i), out=da[..., 0, :])
    np.multiply(f, 1 - f, out=da[..., 1, :])
    da[:, 0, :, 1] = 0  # c_0 = 0
    da[:, 1:, :, 1] *= c[:, :-1]
    np.multiply(i, 1 - g * g, out=da[..., 2, :])
    np.multiply(tanh_c, o * (1 - o), out=da[..., 3, :])
    to_cell = o * (1 - tanh_c * tanh_c)  # from dh_t to dc_t
    if mask is not None:
        da *= mask[..., None]
        to_cell, f = to_cell * mask, f * mask
    dh_carried: Array | None = None
    dc: Array | None = None
    for t in reversed(range(T)):
        dh_t = dh[:, t] if dh_carried is None else dh_carried + dh[:, t]
        dc_t = dh_t * to_cell[:, t]
        if dc is not None:
            dc_t += dc
        da[:, t, :, :3] *= dc_t[:, :, None]
        da[:, t, :, 3] *= dh_t
        dc_after, dc_before = dc, dc_t * f[:, t]
        dc = dc_before if dc_after is None else pass_padding(dc_before, dc_after, t, mask)
        dh_carried = pass_padding(da[:, t].reshape(R, B, 4 * H) @ UT, dh_t, t, mask)  # (R, B, H)
    flat = da.reshape(R, T, B, 4 * H)
    dW, db = project_backward(x_1, flat)
    return flat, (dW, recurrent_backward(h, flat), db)


CELLS = {
    "rnn": (rnn_forward, rnn_backward),
    "lstm": (lstm_forward, lstm_backward),
    "gru after": (gru_after_forward, gru_after_backward),
    "gru before": (gru_before_forward, gru_before_backward),
}
