"""The GRU by hand, with the reset gate after or before the recurrent product; symbols, shapes and
masks as in `numpy_cells.py`.

The bias has two rows, b₀ on the input side and b₁ on the recurrent side; where the semantics train
fewer, the missing entries are zeros.
"""

from typing import Any

import numpy as np

from backends.numpy_cells import (
    Array,
    Mask,
    Weights,
    keep_state,
    project,
    project_backward,
    recurrent_backward,
    sigmoid,
)

# ------------------- reset after: as in cuDNN, h_{t−1} U is computed whole before r is known


def gru_forward(x: Array, weights: Weights, mask: Mask, activation: str) -> tuple[Array, Any]:
    """With p = x_t W + b₀ and q = h_{t−1} U + b₁, each split as z, r, h:
    z = σ(p_z + q_z); r = σ(p_r + q_r); ĥ = tanh(p_h + r ⊙ q_h); h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ."""
    assert activation == "tanh"
    W, U, b = weights
    gates = project(x, W, b[:, 0])  # (R, T, B, 3H); p becomes z, r, ĥ in place
    R, T, B, H = *gates.shape[:3], U.shape[1]
    h, q_h = (np.empty((R, T, B, H), gates.dtype) for _ in range(2))
    h_before = np.zeros((R, B, H), gates.dtype)
    for t in range(T):
        p = gates[:, t]  # (R, B, 3H)
        q = h_before @ U + b[:, 1, None]  # (R, B, 3H)
        p[..., : 2 * H] = sigmoid(p[..., : 2 * H] + q[..., : 2 * H])
        z, r = p[..., :H], p[..., H : 2 * H]
        q_h[:, t] = q[..., 2 * H :]
        p[..., 2 * H :] = np.tanh(p[..., 2 * H :] + r * q_h[:, t])
        h[:, t] = z * h_before + (1 - z) * p[..., 2 * H :]
        keep_state(h, t, mask)
        h_before = h[:, t]
    return h, (x, weights, mask, gates, q_h, h)


def gru_backward(dh: Array, cache: Any) -> tuple[Array, Weights]:
    """The state's error splits: z carries part of it back directly, the gates take the rest."""
    x, (W, U, _), mask, gates, q_h, h = cache
    T, H, UT = h.shape[1], h.shape[-1], U.swapaxes(1, 2)
    dp, dq = np.empty_like(gates), np.empty_like(gates)  # (R, T, B, 3H)
    carried: Array | float = 0.0
    for t in reversed(range(T)):
        z, r, candidate = (gates[:, t, :, k * H : (k + 1) * H] for k in range(3))  # (R, B, H)
        h_before = h[:, t - 1] if t else np.zeros_like(h[:, 0])
        real = 1 if mask is None else mask[:, t]
        dh_t = dh[:, t] + carried
        da_h = dh_t * (1 - z) * (1 - candidate**2)
        dp[:, t, :, :H] = dh_t * (h_before - candidate) * z * (1 - z)
        dp[:, t, :, H : 2 * H] = da_h * q_h[:, t] * r * (1 - r)
        dp[:, t, :, 2 * H :] = da_h
        dp[:, t] *= real
        dq[:, t] = dp[:, t]
        dq[:, t, :, 2 * H :] *= r
        carried = dh_t * z * real + dq[:, t] @ UT
        if mask is not None:
            carried += (1 - real) * dh_t
    dx, dW, db_input = project_backward(x, W, dp)
    db = np.stack([db_input, dq.sum(axis=(1, 2))], axis=1)  # (R, 2, 3H)
    return dx, (dW, recurrent_backward(h, dq), db)


# ---------------------------------- reset before: as in Cho et al. 2014, r acts on h_{t−1} itself


def gru_before_forward(
    x: Array, weights: Weights, mask: Mask, activation: str
) -> tuple[Array, Any]:
    """As `gru_forward`, but ĥ = tanh(p_h + (r ⊙ h_{t−1}) U_h + b₁_h): two products per step."""
    assert activation == "tanh"
    W, U, b = weights
    gates = project(x, W, b.sum(axis=1))  # (R, T, B, 3H); both rows of b act in the same place
    R, T, B, H = *gates.shape[:3], U.shape[1]
    h = np.empty((R, T, B, H), gates.dtype)
    h_before = np.zeros((R, B, H), gates.dtype)
    for t in range(T):
        p = gates[:, t]  # (R, B, 3H)
        p[..., : 2 * H] = sigmoid(p[..., : 2 * H] + h_before @ U[..., : 2 * H])
        z, r = p[..., :H], p[..., H : 2 * H]
        p[..., 2 * H :] = np.tanh(p[..., 2 * H :] + (r * h_before) @ U[..., 2 * H :])
        h[:, t] = z * h_before + (1 - z) * p[..., 2 * H :]
        keep_state(h, t, mask)
        h_before = h[:, t]
    return h, (x, weights, mask, gates, h)


def gru_before_backward(dh: Array, cache: Any) -> tuple[Array, Weights]:
    """The candidate's error reaches h_{t−1} through r ⊙ h_{t−1}, and r through the same product."""
    x, (W, U, _), mask, gates, h = cache
    T, H = h.shape[1], h.shape[-1]
    UT = U.swapaxes(1, 2)  # (R, 3H, H)
    da, reset = np.empty_like(gates), np.zeros_like(h)  # reset: r ⊙ h_{t−1}
    carried: Array | float = 0.0
    for t in reversed(range(T)):
        z, r, candidate = (gates[:, t, :, k * H : (k + 1) * H] for k in range(3))  # (R, B, H)
        h_before = h[:, t - 1] if t else np.zeros_like(h[:, 0])
        reset[:, t] = r * h_before
        real = 1 if mask is None else mask[:, t]
        dh_t = dh[:, t] + carried
        da_h = dh_t * (1 - z) * (1 - candidate**2) * real
        d_reset = da_h @ UT[:, 2 * H :]  # (R, B, H)
        da[:, t, :, :H] = dh_t * (h_before - candidate) * z * (1 - z) * real
        da[:, t, :, H : 2 * H] = d_reset * h_before * r * (1 - r)
        da[:, t, :, 2 * H :] = da_h
        carried = dh_t * z * real + d_reset * r + da[:, t, :, : 2 * H] @ UT[:, : 2 * H]
        if mask is not None:
            carried += (1 - real) * dh_t
    dx, dW, db = project_backward(x, W, da)
    dU_gates = recurrent_backward(h, da[..., : 2 * H])
    R, B = reset.shape[0], reset.shape[2]
    dU_h = reset.reshape(R, T * B, H).swapaxes(1, 2) @ da[..., 2 * H :].reshape(R, T * B, H)
    dU = np.concatenate([dU_gates, dU_h], axis=2)
    return dx, (dW, dU, np.stack([db, db], axis=1))
