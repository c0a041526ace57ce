"""Losses and accuracies of every split, in NumPy, float64 and original units, for all backends.

Only the loss of a training step comes from a backend; all other metrics are computed here from
`predict`.
"""

import numpy as np

from backends import Backend
from harness.core.arrays import Array
from harness.core.losses import gives_logits
from harness.training.splits import Split, Splits


def sample_losses(loss: str, outputs: Array, y: Array, mask: Array | None = None) -> Array:
    """Return the loss of each sample, `(R, N)`: the mean over its outputs and its real steps.

    `mask` `(R, N, T)` is that of targets at every step; None means that every step is real.

    `bce` takes logits z: max(z, 0) − z·y + log(1 + e^−|z|), which never overflows.
    """
    if gives_logits(loss):
        error = np.maximum(outputs, 0) - outputs * y + np.log1p(np.exp(-np.abs(outputs)))
    else:
        error = (outputs - y) ** 2
    return error.reshape(*error.shape[:2], -1).mean(axis=2, where=_real(error, mask))


def mean_loss(loss: str, outputs: Array, y: Array, mask: Array | None = None) -> Array:
    """Return the mean loss over all real steps of all samples, `(R,)`.

    A longer sequence counts for more. Arguments are as in `sample_losses`.
    """
    losses = sample_losses(loss, outputs, y, mask)
    if mask is None:
        return losses.mean(axis=1)
    return np.average(losses, axis=1, weights=np.broadcast_to(mask.sum(axis=2), losses.shape))


def accuracy(outputs: Array, y: Array, mask: Array | None = None) -> Array:
    """Return the share of labels, at real steps, that the logits predict, `(R,)`.

    A logit above 0 predicts 1.
    """
    right = (outputs > 0) == (y > 0.5)
    return right.reshape(len(right), -1).mean(axis=1, where=_real(right, mask, 1))


def _real(entries: Array, mask: Array | None, axes: int = 2) -> Array | bool:
    """Return `mask` `(R, N, T)` for each entry of `entries` `(R, N, T, O)`, or True if it is None.

    The result is flat after the first `axes` axes.
    """
    if mask is None:
        return True
    return np.broadcast_to(mask[..., None], entries.shape).reshape(*entries.shape[:axes], -1)


def evaluate(backend: Backend, splits: Splits, name: str, loss: str) -> dict[str, Array]:
    """Return the metrics of one split, `{"val/loss": (R,), …}`; without targets there are none.

    They include the accuracy if all labels are 0 or 1.
    """
    split = splits.parts[name]
    if not split.has_targets:
        return {}
    outputs = predict(backend, splits, split)
    values = {f"{name}/loss": mean_loss(loss, outputs, split.y, split.counted)}
    if gives_logits(loss) and splits.hard_labels:
        values[f"{name}/accuracy"] = accuracy(outputs, split.y, split.counted)
    return values


def predict(backend: Backend, splits: Splits, split: Split) -> Array:
    """Return every replica's outputs in original units, float64; logits stay logits."""
    return splits.scale.to_original(backend.predict(split.x, split.mask))
