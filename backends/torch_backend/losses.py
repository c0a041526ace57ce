"""Losses of all replicas: the mean over a batch's real entries. Autograd takes the gradient.

Of binary cross-entropy's three forms (`semantics.bce`), two are PyTorch's: BCEWithLogitsLoss, and
BCELoss behind a sigmoid, which clamps its logarithms at −100 and in whose gradient p(1−p) is at
least 1e-12. The third is that of Keras' engines other than TensorFlow.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.core.losses import gives_logits

CLIPPED = 1e-7


def mean_loss(loss: str, form: str, outputs: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
    """Each replica's loss `(R,)`: `outputs` and `y` `(R, B, O)`, or `(R, B, T, O)` with `mask`
    `(R, B, T)` or None."""
    terms = TERMS[form if gives_logits(loss) else "mse"]
    if mask is None:
        return terms(outputs, y).flatten(1).mean(1)
    real = mask[..., None].expand(outputs.shape)
    y = torch.where(real, y, 0)  # anything may stand at padding, even what has no finite loss
    each = torch.where(real, terms(outputs, y), 0).flatten(1).sum(1)
    return each / real.flatten(1).sum(1).clamp(min=1)


def squared_error(o: Tensor, y: Tensor) -> Tensor:
    """Return (o − y)²."""
    return F.mse_loss(o, y, reduction="none")


def from_logits(o: Tensor, y: Tensor) -> Tensor:
    """What BCEWithLogitsLoss means; its own form loses digits of a small loss in float32."""
    return -y * F.logsigmoid(o) - (1 - y) * F.logsigmoid(-o)


def clipped(o: Tensor, y: Tensor) -> Tensor:
    """No gradient passes `clamp` where it acts. float32 rounds 1 − 1e-7 to 1 − 1.19e-7."""
    p = torch.sigmoid(o).clamp(CLIPPED, 1 - CLIPPED)
    return -y * torch.log(p) - (1 - y) * torch.log(1 - p)


def log_clamped(o: Tensor, y: Tensor) -> Tensor:
    """PyTorch's function stops the program at a NaN; here a diverging run shows in its loss."""
    p = torch.sigmoid(o)
    lost = p.isnan()
    return torch.where(
        lost, p, F.binary_cross_entropy(torch.where(lost, 0.5, p), y, reduction="none")
    )


TERMS = {
    "mse": squared_error,
    "logits": from_logits,
    "clipped": clipped,
    "log_clamped": log_clamped,
}
