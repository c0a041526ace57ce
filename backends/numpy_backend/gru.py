"""The GRU by hand, with the reset gate after or before the recurrent product; symbols, shapes and
masks as in `cells.py`.

The bias has two rows, b₀ on the input side and b₁ on the recurrent side; where the semantics train
fewer, the missing entries are zeros.
"""

from typing import Any

import numpy as np

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
    sigmoid,
    transposed,
)

# ------------------- reset after: as in cuDNN, h_{t−1} U is computed whole before r is known


def gru_after_forward(
    x: Array, weights: Weights, mask: Mask, activation: str, work: Workspace
) -> tuple[Array, Any]:
    """GRU with the reset after the product, as in cuDNN: h_t = z ⊙ h_{t−1} + (1−z) ⊙ ĥ.

    With p = x_t W + b₀ and q = h_{t−1} U + b₁, each split as z, r, h: z = σ(p_z + q_z);
    r = σ(p_r + q_r); ĥ = tanh(p_h + r ⊙ q_h).
    """
    assert activation == "tanh"
    W, U, b = weights
    gates, x_1 = project(x, W, b[:, 0], work)  # (R, T, B, 3H); p becomes z, r, ĥ in place
    R, T, B, H = *gates.shape[:3], U.shape[1]
    h, q_h = (work.array(name, (R, T, B, H), gates.dtype) for name in ("h", "q_h"))
    h_before = np.zeros((R, B, H), gates.dtype)
    for t in range(T):
        p, zr = gates[:, t], gates[:, t, :, : 2 * H]  # (R, B, 3H), (R, B, 2H)
        q = h_before @ U  # (R, B, 3H)
        q += b[:, 1, None]
        zr += q[..., : 2 * H]
        sigmoid(zr, out=zr)
        z, r, candidate = zr[..., :H], zr[..., H:], p[..., 2 * H :]
        q_h[:, t] = q[..., 2 * H :]
        candidate += r * q_h[:, t]
        np.tanh(candidate, out=candidate)
        np.subtract(h_before, candidate, out=h[:, t])
        h[:, t] *= z
        h[:, t] += candidate  # ĥ + z ⊙ (h_{t−1} − ĥ)
        keep_state(h, t, mask)
        h_before = h[:, t]
    return h, (x_1, U, mask, gates, q_h, h)


def gru_after_backward(dh: Array, cache: Any, work: Workspace) -> tuple[Array, Weights]:
    """BPTT of `gru_after_forward`: z carries part of the error back directly, the gates the rest.

    The factors of the gates' errors are computed for all time steps at once:
    dp_h = dh ⊙ (1−z) ⊙ (1−ĥ²), dp_z = dh ⊙ (h_{t−1} − ĥ) ⊙ z ⊙ (1−z) and
    dp_r = dp_h ⊙ q_h ⊙ r ⊙ (1−r).
    """
    x_1, U, mask, gates, q_h, h = cache
    (R, T, B, H), UT = h.shape, transposed(U)
    z, r, candidate = (gates[..., k * H : (k + 1) * H] for k in range(3))  # (R, T, B, H) each
    dp = state_factors(h, z, candidate, work)  # first the factors, then in place the errors
    np.multiply(q_h, r * (1 - r), out=dp[..., 1, :])
    dp[..., 1, :] *= dp[..., 2, :]
    if mask is not None:
        dp *= mask[..., None]
        z = z * mask
    dq = work.array("dq", dp.shape, dp.dtype)
    carried: Array | None = None
    for t in reversed(range(T)):
        dh_t = dh[:, t] if carried is None else carried + dh[:, t]
        dp[:, t] *= dh_t[:, :, None]
        dq[:, t] = dp[:, t]
        dq[:, t, :, 2] *= r[:, t]
        dh_before = dq[:, t].reshape(R, B, 3 * H) @ UT
        dh_before += dh_t * z[:, t]
        carried = pass_padding(dh_before, dh_t, t, mask)
    dp, dq = dp.reshape(R, T, B, 3 * H), dq.reshape(R, T, B, 3 * H)
    dW, db_input = project_backward(x_1, dp)
    db = np.stack([db_input, dq.sum(axis=(1, 2))], axis=1)  # (R, 2, 3H)
    return dp, (dW, recurrent_backward(h, dq), db)


def state_factors(h: Array, z: Array, candidate: Array, work: Workspace) -> Array:
    """Return the factors of dh_t in the errors of z and of the candidate: `(R, T, B, 3, H)`.

    The entries of r have no meaning: the caller fills them.
    """
    factors = work.array("factors", (*h.shape[:3], 3, h.shape[3]), h.dtype)
    to_z = factors[..., 0, :]
    np.negative(candidate, out=to_z)
    to_z[:, 1:] += h[:, :-1]
    to_z *= z * (1 - z)
    np.multiply(1 - z, 1 - candidate * candidate, out=factors[..., 2, :])
    return factors


# ---------------------------------- reset before: as in Cho et al. 2014, r acts on h_{t−1} itself


def gru_before_forward(
    x: Array, weights: Weights, mask: Mask, activation: str, work: Workspace
) -> tuple[Array, Any]:
    """GRU with the reset before the product (Cho et al. 2014): see `gru_after_forward`, but with
    ĥ = tanh(p_h + (r ⊙ h_{t−1}) U_h + b₁_h), which takes two products a step."""
    assert activation == "tanh"
    W, U, b = weights
    gates, x_1 = project(x, W, b.sum(axis=1), work)  # (R, T, B, 3H); both rows act in one place
    R, T, B, H = *gates.shape[:3], U.shape[1]
    h = work.array("h", (R, T, B, H), gates.dtype)
    h_before = np.zeros((R, B, H), gates.dtype)
    for t in range(T):
        zr, candidate = gates[:, t, :, : 2 * H], gates[:, t, :, 2 * H :]
        zr += h_before @ U[..., : 2 * H]
        sigmoid(zr, out=zr)
        z, r = zr[..., :H], zr[..., H:]
        candidate += (r * h_before) @ U[..., 2 * H :]
        np.tanh(candidate, out=candidate)
        h[:, t] = z * h_before + (1 - z) * candidate
        keep_state(h, t, mask)
        h_before = h[:, t]
    return h, (x_1, U, mask, gates, h)


def gru_before_backward(dh: Array, cache: Any, work: Workspace) -> tuple[Array, Weights]:
    """BPTT of `gru_before_forward`: the candidate's error reaches r and h_{t−1} by r ⊙ h_{t−1}."""
    x_1, U, mask, gates, h = cache
    (R, T, B, H), UT = h.shape, transposed(U)
    z, r, candidate = (gates[..., k * H : (k + 1) * H] for k in range(3))  # (R, T, B, H) each
    before = np.concatenate([np.zeros_like(h[:, :1]), h[:, :-1]], axis=1)  # h_{t−1}
    reset = r * before
    to_r = before * r * (1 - r)
    da = state_factors(h, z, candidate, work)  # first the factors, then in place the errors
    if mask is not None:
        da *= mask[..., None]
        z = z * mask
    carried: Array | None = None
    for t in reversed(range(T)):
        dh_t = dh[:, t] if carried is None else carried + dh[:, t]
        da[:, t, :, 0] *= dh_t
        da[:, t, :, 2] *= dh_t
        d_reset = da[:, t, :, 2] @ UT[:, 2 * H :]  # (R, B, H)
        np.multiply(d_reset, to_r[:, t], out=da[:, t, :, 1])
        dh_before = da[:, t, :, :2].reshape(R, B, 2 * H) @ UT[:, : 2 * H]
        dh_before += dh_t * z[:, t] + d_reset * r[:, t]
        carried = pass_padding(dh_before, dh_t, t, mask)
    da = da.reshape(R, T, B, 3 * H)
    dW, db = project_backward(x_1, da)
    dU_gates = recurrent_backward(h, da[..., : 2 * H])
    dU_h = reset.reshape(R, T * B, H).swapaxes(1, 2) @ da[..., 2 * H :].reshape(R, T * B, H)
    dU = np.concatenate([dU_gates, dU_h], axis=2)
    return da, (dW, dU, np.stack([db, db], axis=1))
