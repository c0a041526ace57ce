"""Losses: the mean over a batch's real entries. Autograd takes the gradient.

mse: (o − y)². Binary cross-entropy of logits o with p = σ(o) has three forms (`semantics.bce`),
which differ where p saturates:

    logits       BCEWithLogitsLoss
    clipped      from p kept within [1e-7, 1 − 1e-7], as on Keras' other engines; beyond, the
                 gradient is 0
    log_clamped  BCELoss of a sigmoid: both logarithms are at least −100, and in the gradient
                 p(1−p) is at least 1e-12
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.core.losses import gives_logits

CLIPPED = 1e-7


def mean_loss(loss: str, form: str, outputs: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
    """Return each replica's mean loss `(R,)`.

    `outputs` and `y` are `(R, B, O)`, or `(R, B, T, O)` with `mask` `(R, B, T)` or None.
    """
    terms = TERMS[form if gives_logits(loss) else "mse"]
    if mask is None:
        return terms(outputs, y).flatten(1).mean(1)
    real = mask[..., None].expand(outputs.shape)
    y = torch.where(real, y, 0)  # padding may hold any value, also one without a finite loss
    sums = torch.where(real, terms(outputs, y), 0).flatten(1).sum(1)
    return sums / real.flatten(1).sum(1).clamp(min=1)


def squared_error(o: Tensor, y: Tensor) -> Tensor:
    """Squared error (o − y)²."""
    return F.mse_loss(o, y, reduction="none")


def from_logits(o: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy from logits, with the digits of a small loss in float32 that
    BCEWithLogitsLoss loses."""
    return -y * F.logsigmoid(o) - (1 - y) * F.logsigmoid(-o)


def clipped(o: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy with p within [1e-7, 1 − 1e-7]; `clamp` has gradient 0 beyond.

    The bounds have the precision of `o`: float32 rounds 1 − 1e-7 to 1 − 1.19e-7.
    """
    p = torch.sigmoid(o).clamp(CLIPPED, 1 - CLIPPED)
    return -y * torch.log(p) - (1 - y) * torch.log(1 - p)


def log_clamped(o: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy with logarithms of at least −100.

    PyTorch's function raises an exception at a NaN; here a diverging run shows in its loss.
    """
    p = torch.sigmoid(o)
    is_nan = p.isnan()
    terms = F.binary_cross_entropy(torch.where(is_nan, 0.5, p), y, reduction="none")
    return torch.where(is_nan, p, terms)


TERMS = {
    "mse": squared_error,
    "logits": from_logits,
    "clipped": clipped,
    "log_clamped": log_clamped,
}
