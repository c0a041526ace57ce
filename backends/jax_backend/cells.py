"""The cells with backpropagation through time, see `recurrence.py`; the GRU is in `gru.py`.

Symbols: a pre-activations, h hidden states, U recurrent kernel, σ the logistic function, ⊙ the
elementwise product; `da` means ∂L/∂a.
"""

from typing import Any

import jax
import jax.numpy as jnp

from backends.jax_backend.gru import (
    gru_after_backward,
    gru_after_forward,
    gru_before_backward,
    gru_before_forward,
)
from backends.jax_backend.recurrence import (
    Array,
    Cell,
    Rules,
    before,
    kernel_gradient,
    over_time,
    sigmoid,
    where_real,
    zeros,
)

# ------------------------------------------------------------------ simple cell (Elman 1990)


def rnn_forward(
    a: Array, b: Array | None, U: Array, real: Array | None, rules: Rules
) -> tuple[Array, Any]:
    """Simple cell: h_t = φ(a_t + h_{t−1} U) with φ tanh or relu."""
    φ = jnp.tanh if rules.activation == "tanh" else jax.nn.relu

    def step(h: Array, now: tuple[Array, Array | None]) -> tuple[Array, Array]:
        a, real = now
        h = where_real(real, φ(a + rules.dot(h, U)), h)
        return h, h

    h = over_time(step, zeros(a, U), (a, real), rules)
    return h, (h, U)


def rnn_backward(dh: Array, saved: Any, real: Array | None, rules: Rules) -> tuple:
    """BPTT of the simple cell: da_t = φ'(a_t) ⊙ (dh_t + da_{t+1} Uᵀ). The slope of relu at 0 is
    0."""
    h, U = saved
    slope = 1 - h * h if rules.activation == "tanh" else (h > 0).astype(h.dtype)
    slope, UT = where_real(real, slope, 0), U.T

    def step(carried: Array, now: tuple) -> tuple[Array, Array]:
        dh, slope, real = now
        dh = dh + carried
        da = dh * slope
        return pass_padding(rules.dot(da, UT), dh, real), da

    da = over_time(step, jnp.zeros_like(h[0]), (dh, slope, real), rules, reverse=True)
    return da, None, kernel_gradient(h, da, rules)


def pass_padding(carried: Array, error: Array, real: Array | None) -> Array:
    """Return the error of h_{t−1}: `carried`, plus the `error` of h_t where step t is padding."""
    return carried if real is None else carried + jnp.where(real, 0, error)


# ------------------------------------------------ LSTM (Hochreiter & Schmidhuber 1997; Gers 2000)


def lstm_forward(
    a: Array, b: Array | None, U: Array, real: Array | None, rules: Rules
) -> tuple[Array, Any]:
    """LSTM, with its gates in the order i, f, g, o.

    i, f, o = σ(·), g = tanh(·) of a_t + h_{t−1} U; c_t = f ⊙ c_{t−1} + i ⊙ g; h_t = o ⊙ tanh(c_t).
    """

    def step(state: tuple[Array, Array], now: tuple) -> tuple[Any, Any]:
        (h, c), (a, real) = state, now
        i, f, g, o = jnp.split(a + rules.dot(h, U), 4, -1)
        i, f, g, o = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
        c = where_real(real, f * c + i * g, c)
        h = where_real(real, o * jnp.tanh(c), h)
        return (h, c), (h, c, i, f, g, o)  # in one array, XLA would compute the gates twice over

    start = zeros(a, U)
    h, c, *gates = over_time(step, (start, start), (a, real), rules)
    return h, (h, c, gates, U)


def lstm_backward(dh: Array, saved: Any, real: Array | None, rules: Rules) -> tuple:
    """BPTT of the LSTM: two errors flow back, through the states h and through the cells c.

    With factors for all time steps at once: da_i = dc ⊙ g ⊙ i ⊙ (1−i),
    da_f = dc ⊙ c_{t−1} ⊙ f ⊙ (1−f), da_g = dc ⊙ i ⊙ (1−g²), da_o = dh ⊙ tanh(c) ⊙ o ⊙ (1−o).
    """
    h, c, (i, f, g, o), U = saved
    tanh_c, UT = jnp.tanh(c), U.T
    factors = (g * i * (1 - i), before(c) * f * (1 - f), i * (1 - g * g), tanh_c * o * (1 - o))
    factors = tuple(where_real(real, factor, 0) for factor in factors)
    to_cell, f = where_real(real, o * (1 - tanh_c * tanh_c), 0), where_real(real, f, 1)

    def step(carried: tuple[Array, Array], now: tuple) -> tuple[Any, Array]:
        (dh_after, dc_after), (dh, (i, f, g, o), to_cell, kept, real) = carried, now
        dh = dh + dh_after
        dc = dc_after + dh * to_cell
        da = jnp.concatenate([dc * i, dc * f, dc * g, dh * o], -1)
        return (pass_padding(rules.dot(da, UT), dh, real), dc * kept), da

    start = jnp.zeros_like(h[0])
    inputs = (dh, factors, to_cell, f, real)
    da = over_time(step, (start, start), inputs, rules, reverse=True)
    return da, None, kernel_gradient(h, da, rules)


CELLS = {
    "rnn": Cell(rnn_forward, rnn_backward),
    "lstm": Cell(lstm_forward, lstm_backward),
    "gru after": Cell(gru_after_forward, gru_after_backward),
    "gru before": Cell(gru_before_forward, gru_before_backward),
}
