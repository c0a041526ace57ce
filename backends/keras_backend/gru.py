"""The GRU in its two forms, with backpropagation through time; see `recurrence.py`."""

from typing import Any

from backends.keras_backend.recurrence import (
    before,
    dot,
    kernel_gradient,
    ops,
    over_time,
    product_over_time,
    sigmoid,
    transposed,
    where_real,
    zeros,
)

# ------------------- reset after: as in cuDNN, h_{t−1} U is computed whole before r is known


def gru_after_forward(a: Any, b: Any, U: Any, real: Any, activation: str) -> tuple[Any, Any]:
    """GRU with the reset after the product, as in cuDNN: h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ.

    With q = h_{t−1} U: z = σ(a_z + q_z); r = σ(a_r + q_r); ĥ = tanh(a_h + r ⊙ (q_h + b)).
    """
    H = U.shape[1]
    gates = 2 * H

    def step(h: Any, now: tuple) -> tuple[Any, tuple]:
        a, real = now
        q = dot(h, U)
        zr, q_h = sigmoid(a[..., :gates] + q[..., :gates]), q[..., gates:] + b
        z, r = ops.split(zr, 2, -1)
        candidate = ops.tanh(a[..., gates:] + r * q_h)
        h = where_real(real, candidate + z * (h - candidate), h)
        return h, (h, zr, candidate, q_h)

    h, zr, candidate, q_h = over_time(step, zeros(a, H), (a, real), (H, gates, H, H))
    return h, (h, zr, candidate, q_h, U)


def gru_after_backward(dh: Any, saved: Any, real: Any, activation: str) -> tuple:
    """BPTT of `gru_after_forward`: z carries part of the error back, the gates the rest."""
    h, zr, candidate, q_h, U = saved
    z, r = ops.split(zr, 2, -1)
    to_z, to_h = state_factors(h, z, candidate, real)
    factors = (to_z, to_h * q_h * r * (1 - r), to_h * r)  # of ∂L/∂q
    kept, UT = where_real(real, z, 1), transposed(U)

    def step(carried: Any, now: tuple) -> tuple[Any, tuple]:
        dh, factors, kept = now
        dh = dh + carried
        dq = ops.concatenate([dh * factor for factor in factors], -1)
        return dot(dq, UT) + dh * kept, (dq, dh)

    H, widths = U.shape[1], (U.shape[2], U.shape[1])
    dq, dh = over_time(step, zeros(h, H), (dh, factors, kept), widths, reverse=True)
    da = ops.concatenate([dq[..., : 2 * H], dh * to_h], -1)
    return da, ops.sum(dq[..., 2 * H :], (0, 2))[:, None], kernel_gradient(h, dq)


def state_factors(h: Any, z: Any, candidate: Any, real: Any) -> tuple[Any, Any]:
    """Return the factors of dh_t in the errors of z and of the candidate, `(T, R, B, H)` each."""
    to_z = (before(h) - candidate) * z * (1 - z)
    to_h = (1 - z) * (1 - candidate * candidate)
    return where_real(real, to_z, 0), where_real(real, to_h, 0)


# ---------------------------------- reset before: as in Cho et al. 2014, r acts on h_{t−1} itself


def gru_before_forward(a: Any, b: Any, U: Any, real: Any, activation: str) -> tuple[Any, Any]:
    """GRU with the reset before the product (Cho et al. 2014): see `gru_after_forward`, but with
    ĥ = tanh(a_h + (r ⊙ h_{t−1}) U_h)."""
    H = U.shape[1]
    gates = 2 * H
    U_gates, U_h = U[..., :gates], U[..., gates:]

    def step(h: Any, now: tuple) -> tuple[Any, tuple]:
        a, real = now
        zr = sigmoid(a[..., :gates] + dot(h, U_gates))
        z, r = ops.split(zr, 2, -1)
        candidate = ops.tanh(a[..., gates:] + dot(r * h, U_h))
        h = where_real(real, candidate + z * (h - candidate), h)
        return h, (h, zr, candidate)

    h, zr, candidate = over_time(step, zeros(a, H), (a, real), (H, gates, H))
    return h, (h, zr, candidate, U)


def gru_before_backward(dh: Any, saved: Any, real: Any, activation: str) -> tuple:
    """BPTT of `gru_before_forward`: the candidate's error reaches r and h_{t−1} by r ⊙ h_{t−1}."""
    h, zr, candidate, U = saved
    z, r = ops.split(zr, 2, -1)
    to_z, to_h = state_factors(h, z, candidate, real)
    old, kept, gates = before(h), where_real(real, z, 1), 2 * U.shape[1]
    UT_gates, UT_h = transposed(U[..., :gates]), transposed(U[..., gates:])

    def step(carried: Any, now: tuple) -> tuple[Any, tuple]:
        dh, to_z, to_h, to_r, r, kept = now
        dh = dh + carried
        d_candidate = dh * to_h
        d_reset = dot(d_candidate, UT_h)
        d_gates = ops.concatenate([dh * to_z, d_reset * to_r], -1)
        dh_before = dot(d_gates, UT_gates) + dh * kept + d_reset * r
        return dh_before, (ops.concatenate([d_gates, d_candidate], -1),)

    inputs = (dh, to_z, to_h, old * r * (1 - r), r, kept)
    (da,) = over_time(step, zeros(h, U.shape[1]), inputs, (U.shape[2],), reverse=True)
    dU_gates = kernel_gradient(h, da[..., :gates])
    dU_h = product_over_time(old * r, da[..., gates:])
    return da, None, ops.concatenate([dU_gates, dU_h], -1)
