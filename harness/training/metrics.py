"""The one ruler: losses and accuracies of every split, in NumPy, float64 and original units.

Only the loss of a training step comes from a backend; all else that is compared is computed here
from `predict`.
"""

import numpy as np

from backends import Backend
from harness.core.arrays import Array
from harness.core.losses import gives_logits
from harness.training.splits import Split, Splits


def sample_losses(loss: str, outputs: Array, y: Array, mask: Array | None = None) -> Array:
    """The loss of each sample `(R, N)`: the mean over its outputs and steps, those that are real
    where targets at every step have a `mask` `(R, N, T)`.

    `bce` takes logits z: max(z, 0) − z·y + log(1 + e^−|z|), which never overflows.
    """
    if gives_logits(loss):
        error = np.maximum(outputs, 0) - outputs * y + np.log1p(np.exp(-np.abs(outputs)))
    else:
        error = (outputs - y) ** 2
    return error.reshape(*error.shape[:2], -1).mean(axis=2, where=_real(error, mask))


def mean_loss(loss: str, outputs: Array, y: Array, mask: Array | None = None) -> Array:
    """The mean over all real steps of all samples `(R,)`: a longer sequence counts for more."""
    each = sample_losses(loss, outputs, y, mask)
    if mask is None:
        return each.mean(axis=1)
    return np.average(each, axis=1, weights=np.broadcast_to(mask.sum(axis=2), each.shape))


def accuracy(outputs: Array, y: Array, mask: Array | None = None) -> Array:
    """The share of labels on the right side of a logit of 0, at real steps, `(R,)`."""
    right = (outputs > 0) == (y > 0.5)
    return right.reshape(len(right), -1).mean(axis=1, where=_real(right, mask, 1))


def _real(entries: Array, mask: Array | None, axes: int = 2) -> Array | bool:
    """`mask` `(R, N, T)` for each of `entries` `(R, N, T, O)`, flat after the first `axes` axes."""
    if mask is None:
        return True
    return np.broadcast_to(mask[..., None], entries.shape).reshape(*entries.shape[:axes], -1)


def evaluate(backend: Backend, splits: Splits, name: str, loss: str) -> dict[str, Array]:
    """`{"val/loss": (R,), …}` of one split, with the accuracy where labels are 0 or 1."""
    part = splits.parts[name]
    if not part.has_targets:
        return {}
    outputs = predict(backend, splits, part)
    values = {f"{name}/loss": mean_loss(loss, outputs, part.y, part.counted)}
    if gives_logits(loss) and splits.hard_labels:
        values[f"{name}/accuracy"] = accuracy(outputs, part.y, part.counted)
    return values


def predict(backend: Backend, splits: Splits, part: Split) -> Array:
    """Outputs of every replica in original units (logits stay logits), float64."""
    return splits.scale.to_original(backend.predict(part.x, part.mask))
