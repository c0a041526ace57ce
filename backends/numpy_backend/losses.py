"""Losses: the mean over a batch's real entries, and its gradient with respect to the outputs.

mse: (o − y)². Binary cross-entropy of logits o with p = σ(o) has three forms (`semantics.bce`),
which differ where p saturates:

    logits       max(o, 0) − o·y + log(1 + e^−|o|); its gradient is p − y, whatever o is
    clipped      −y log p̂ − (1−y) log(1−p̂) with p̂ = p kept within [1e-7, 1 − 1e-7]; beyond, the
                 gradient is 0
    log_clamped  both logarithms are at least −100; the gradient with respect to p divides by
                 max(p(1−p), 1e-12), so it fades to 0 beyond
"""

import numpy as np

from harness.core.arrays import Array
from harness.core.losses import gives_logits

CLIPPED = 1e-7
CLAMPED, SMALLEST = -100.0, float(np.float32(1e-12))  # PyTorch's constant is a float32


def mean_loss(
    loss: str, form: str, outputs: Array, y: Array, mask: Array | None
) -> tuple[Array, Array]:
    """Return each replica's mean loss `(R,)`, and its gradient in the shape of `outputs`.

    `outputs` and `y` are `(R, B, O)`, or `(R, T, B, O)` with `mask` `(R, T, B, 1)` or None.
    """
    terms, slope = TERMS[form if gives_logits(loss) else "mse"](outputs, y)
    axes = tuple(range(1, outputs.ndim))
    if mask is None:
        return terms.mean(axis=axes), slope / slope[0].size
    real = np.broadcast_to(mask, outputs.shape)
    count = np.maximum(real.sum(axis=axes, keepdims=True), 1)
    return (terms * real).sum(axis=axes) / count.reshape(-1), slope * real / count


def probability(o: Array) -> Array:
    """Return σ(o), right to the last digit where it is small, too: its logarithm is taken."""
    return 1 / (1 + np.exp(-o))


def squared_error(o: Array, y: Array) -> tuple[Array, Array]:
    """Squared error (o − y)², and its gradient."""
    return (o - y) ** 2, 2 * (o - y)


def from_logits(o: Array, y: Array) -> tuple[Array, Array]:
    """Binary cross-entropy from logits, and its gradient."""
    return np.maximum(o, 0) - o * y + np.log1p(np.exp(-np.abs(o))), probability(o) - y


def clipped(o: Array, y: Array) -> tuple[Array, Array]:
    """Binary cross-entropy with p within [1e-7, 1 − 1e-7], and its gradient.

    The bounds have the precision of `o`: float32 rounds 1 − 1e-7 to 1 − 1.19e-7.
    """
    low, high = o.dtype.type(CLIPPED), o.dtype.type(1 - CLIPPED)
    p = probability(o)
    bounded = np.clip(p, low, high)
    terms = -y * np.log(bounded) - (1 - y) * np.log(1 - bounded)
    inside = (low <= p) & (p <= high)
    return terms, np.where(inside, p - y, 0)


def log_clamped(o: Array, y: Array) -> tuple[Array, Array]:
    """Binary cross-entropy with logarithms of at least −100, and its gradient."""
    p = probability(o)
    terms = -y * np.maximum(np.log(p), CLAMPED) - (1 - y) * np.maximum(np.log1p(-p), CLAMPED)
    variance = p * (1 - p)
    return terms, (p - y) * variance / np.maximum(variance, o.dtype.type(SMALLEST))


TERMS = {
    "mse": squared_error,
    "logits": from_logits,
    "clipped": clipped,
    "log_clamped": log_clamped,
}
