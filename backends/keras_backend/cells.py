"""The cells with backpropagation through time, see `recurrence.py`; the GRU is in `gru.py`.

Symbols: a pre-activations, h hidden states, U recurrent kernel, σ the logistic function, ⊙ the
elementwise product; `da` means ∂L/∂a.
"""

from typing import Any

from backends.keras_backend.gru import (
    gru_after_backward,
    gru_after_forward,
    gru_before_backward,
    gru_before_forward,
)
from backends.keras_backend.recurrence import (
    Cell,
    before,
    dot,
    kernel_gradient,
    ops,
    over_time,
    pass_padding,
    sigmoid,
    transposed,
    where_real,
    zeros,
)

# ------------------------------------------------------------------ simple cell (Elman 1990)


def rnn_forward(a: Any, b: Any, U: Any, real: Any, activation: str) -> tuple[Any, Any]:
    """Simple cell: h_t = φ(a_t + h_{t−1} U) with φ tanh or relu."""
    φ = ops.tanh if activation == "tanh" else ops.relu

    def step(h: Any, now: tuple) -> tuple[Any, tuple]:
        a, real = now
        h = where_real(real, φ(a + dot(h, U)), h)
        return h, (h,)

    H = U.shape[1]
    (h,) = over_time(step, zeros(a, H), (a, real), (H,))
    return h, (h, U)


def rnn_backward(dh: Any, saved: Any, real: Any, activation: str) -> tuple:
    """BPTT of the simple cell: da_t = φ'(a_t) ⊙ (dh_t + da_{t+1} Uᵀ). The slope of relu at 0 is
    0."""
    h, U = saved
    slope = 1 - h * h if activation == "tanh" else ops.cast(h > 0, h.dtype)
    slope, UT = where_real(real, slope, 0), transposed(U)

    def step(carried: Any, now: tuple) -> tuple[Any, tuple]:
        dh, slope, real = now
        dh = dh + carried
        da = dh * slope
        return pass_padding(dot(da, UT), dh, real), (da,)

    H = U.shape[1]
    (da,) = over_time(step, zeros(h, H), (dh, slope, real), (H,), reverse=True)
    return da, None, kernel_gradient(h, da)


# ------------------------------------------------ LSTM (Hochreiter & Schmidhuber 1997; Gers 2000)


def lstm_forward(a: Any, b: Any, U: Any, real: Any, activation: str) -> tuple[Any, Any]:
    """LSTM, with its gates in the order i, f, g, o.

    i, f, o = σ(·), g = tanh(·) of a_t + h_{t−1} U; c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh(c_t).
    """

    def step(state: tuple, now: tuple) -> tuple[tuple, tuple]:
        (h, c), (a, real) = state, now
        i, f, g, o = ops.split(a + dot(h, U), 4, -1)
        i, f, g, o = sigmoid(i), sigmoid(f), ops.tanh(g), sigmoid(o)
        c = where_real(real, f * c + i * g, c)
        h = where_real(real, o * ops.tanh(c), h)
        return (h, c), (h, c, i, f, g, o)  # in one array, XLA would compute the gates twice over

    H = U.shape[1]
    start = zeros(a, H)
    h, c, *gates = over_time(step, (start, start), (a, real), (H,) * 6)
    return h, (h, c, gates, U)


def lstm_backward(dh: Any, saved: Any, real: Any, activation: str) -> tuple:
    """BPTT of the LSTM: two errors flow back, through the states h and through the cells c.

    With factors for all time steps at once: da_i = dc ⊙ g ⊙ i ⊙ (1−i),
    da_f = dc ⊙ c_{t−1} ⊙ f ⊙ (1−f), da_g = dc ⊙ i ⊙ (1−g²), da_o = dh ⊙ tanh(c) ⊙ o ⊙ (1−o).
    """
    h, c, (i, f, g, o), U = saved
    tanh_c, UT = ops.tanh(c), transposed(U)
    factors = (g * i * (1 - i), before(c) * f * (1 - f), i * (1 - g * g), tanh_c * o * (1 - o))
    factors = tuple(where_real(real, factor, 0) for factor in factors)
    to_cell, kept = where_real(real, o * (1 - tanh_c * tanh_c), 0), where_real(real, f, 1)

    def step(carried: tuple, now: tuple) -> tuple[tuple, tuple]:
        (dh_after, dc_after), (dh, (i, f, g, o), to_cell, kept, real) = carried, now
        dh = dh + dh_after
        dc = dc_after + dh * to_cell
        da = ops.concatenate([dc * i, dc * f, dc * g, dh * o], -1)
        return (pass_padding(dot(da, UT), dh, real), dc * kept), (da,)

    start, inputs = zeros(h, U.shape[1]), (dh, factors, to_cell, kept, real)
    (da,) = over_time(step, (start, start), inputs, (U.shape[2],), reverse=True)
    return da, None, kernel_gradient(h, da)


CELLS = {
    "rnn": Cell(rnn_forward, rnn_backward),
    "lstm": Cell(lstm_forward, lstm_backward),
    "gru after": Cell(gru_after_forward, gru_after_backward),
    "gru before": Cell(gru_before_forward, gru_before_backward),
}
