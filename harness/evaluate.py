"""The one ruler: losses and accuracies of every split, in NumPy, float64 and original units.

Only the loss of a training step comes from a backend; all else that is compared is computed here
from `predict`.
"""

import numpy as np

from backends import Backend
from harness.splits import Split, Splits

Array = np.ndarray


def sample_losses(loss: str, outputs: Array, y: Array) -> Array:
    """The loss of each sample `(R, N)`: the mean over its outputs and steps.

    `bce` takes logits z: max(z, 0) − z·y + log(1 + e^−|z|), which never overflows.
    """
    if loss == "mse":
        error = (outputs - y) ** 2
    else:
        error = np.maximum(outputs, 0) - outputs * y + np.log1p(np.exp(-np.abs(outputs)))
    return error.reshape(*error.shape[:2], -1).mean(axis=2)


def evaluate(backend: Backend, splits: Splits, name: str, loss: str) -> dict[str, Array]:
    """`{"val/loss": (R,), …}` of one split, with the accuracy where labels are binary."""
    part = splits.parts[name]
    if not part.has_targets:
        return {}
    outputs = predict(backend, splits, part)
    values = {f"{name}/loss": sample_losses(loss, outputs, part.y).mean(axis=1)}
    if loss == "bce":
        values[f"{name}/accuracy"] = accuracy(outputs, part.y)
    return values


def accuracy(outputs: Array, y: Array) -> Array:
    """The share of labels on the right side of a logit of 0, `(R,)`."""
    right = (outputs > 0) == (y > 0.5)
    return right.reshape(len(right), -1).mean(axis=1)


def predict(backend: Backend, splits: Splits, part: Split) -> Array:
    """Outputs of every replica in original units (logits stay logits), float64."""
    return splits.scale.to_original(backend.predict(part.x))
