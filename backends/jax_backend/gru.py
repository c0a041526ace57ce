"""The GRU in its two forms, with backpropagation through time; see `recurrence.py`."""

from typing import Any

import jax.numpy as jnp

from backends.jax_backend.recurrence import (
    Array,
    Rules,
    before,
    kernel_gradient,
    over_time,
    sigmoid,
    where_real,
    zeros,
)

# ------------------- reset after: as in cuDNN, h_{t−1} U is computed whole before r is known


def gru_after_forward(
    a: Array, b: Array, U: Array, real: Array | None, rules: Rules
) -> tuple[Array, Any]:
    """GRU with the reset after the product, as in cuDNN: h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ.

    With q = h_{t−1} U: z = σ(a_z + q_z); r = σ(a_r + q_r); ĥ = tanh(a_h + r ⊙ (q_h + b)).
    """
    gates = 2 * U.shape[0]

    def step(h: Array, now: tuple[Array, Array | None]) -> tuple[Array, Any]:
        a, real = now
        q = rules.dot(h, U)
        zr, q_h = sigmoid(a[..., :gates] + q[..., :gates]), q[..., gates:] + b
        z, r = jnp.split(zr, 2, -1)
        candidate = jnp.tanh(a[..., gates:] + r * q_h)
        h = where_real(real, candidate + z * (h - candidate), h)
        return h, (h, zr, candidate, q_h)

    h, zr, candidate, q_h = over_time(step, zeros(a, U), (a, real), rules)
    return h, (h, zr, candidate, q_h, U)


def gru_after_backward(dh: Array, saved: Any, real: Array | None, rules: Rules) -> tuple:
    """BPTT of `gru_after_forward`: z carries part of the error back, the gates the rest."""
    h, zr, candidate, q_h, U = saved
    z, r = jnp.split(zr, 2, -1)
    to_z, to_h = state_factors(h, z, candidate, real)
    factors = (to_z, to_h * q_h * r * (1 - r), to_h * r)  # of ∂L/∂q
    kept, UT = where_real(real, z, 1), U.T

    def step(carried: Array, now: tuple) -> tuple[Array, Any]:
        dh, factors, kept = now
        dh = dh + carried
        dq = jnp.concatenate([dh * factor for factor in factors], -1)
        return rules.dot(dq, UT) + dh * kept, (dq, dh)

    dq, dh = over_time(step, jnp.zeros_like(h[0]), (dh, factors, kept), rules, reverse=True)
    gates = 2 * U.shape[0]
    da = jnp.concatenate([dq[..., :gates], dh * to_h], -1)
    return da, dq[..., gates:].sum((0, 1)), kernel_gradient(h, dq, rules)


def state_factors(h: Array, z: Array, candidate: Array, real: Array | None) -> tuple[Array, Array]:
    """Return the factors of dh_t in the errors of z and of the candidate, `(T, B, H)` each."""
    to_z = (before(h) - candidate) * z * (1 - z)
    to_h = (1 - z) * (1 - candidate * candidate)
    return where_real(real, to_z, 0), where_real(real, to_h, 0)


# ---------------------------------- reset before: as in Cho et al. 2014, r acts on h_{t−1} itself


def gru_before_forward(
    a: Array, b: Array | None, U: Array, real: Array | None, rules: Rules
) -> tuple[Array, Any]:
    """GRU with the reset before the product (Cho et al. 2014): see `gru_after_forward`, but with
    ĥ = tanh(a_h + (r ⊙ h_{t−1}) U_h)."""
    gates = 2 * U.shape[0]

    def step(h: Array, now: tuple[Array, Array | None]) -> tuple[Array, Any]:
        a, real = now
        zr = sigmoid(a[..., :gates] + rules.dot(h, U[:, :gates]))
        z, r = jnp.split(zr, 2, -1)
        candidate = jnp.tanh(a[..., gates:] + rules.dot(r * h, U[:, gates:]))
        h = where_real(real, candidate + z * (h - candidate), h)
        return h, (h, zr, candidate)

    h, zr, candidate = over_time(step, zeros(a, U), (a, real), rules)
    return h, (h, zr, candidate, U)


def gru_before_backward(dh: Array, saved: Any, real: Array | None, rules: Rules) -> tuple:
    """BPTT of `gru_before_forward`: the candidate's error reaches r and h_{t−1} by r ⊙ h_{t−1}."""
    h, zr, candidate, U = saved
    z, r = jnp.split(zr, 2, -1)
    to_z, to_h = state_factors(h, z, candidate, real)
    old, UT = before(h), U.T
    gates = 2 * U.shape[0]
    kept = where_real(real, z, 1)

    def step(carried: Array, now: tuple[Array, ...]) -> tuple[Array, Array]:
        dh, to_z, to_h, to_r, r, kept = now
        dh = dh + carried
        d_candidate = dh * to_h
        d_reset = rules.dot(d_candidate, UT[gates:])
        d_gates = jnp.concatenate([dh * to_z, d_reset * to_r], -1)
        dh_before = rules.dot(d_gates, UT[:gates]) + dh * kept + d_reset * r
        return dh_before, jnp.concatenate([d_gates, d_candidate], -1)

    inputs = (dh, to_z, to_h, old * r * (1 - r), r, kept)
    da = over_time(step, jnp.zeros_like(h[0]), inputs, rules, reverse=True)
    H = U.shape[0]
    dU_gates = kernel_gradient(h, da[..., :gates], rules)
    dU_h = rules.dot((old * r).reshape(-1, H).T, da[..., gates:].reshape(-1, H))
    return da, None, jnp.concatenate([dU_gates, dU_h], -1)
