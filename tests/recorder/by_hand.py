"""The losses of a linear model under SGD, worked out by hand from a recording in float64."""

import numpy as np

from harness.core.arrays import Array
from harness.recorder.recording import Recording


def losses(recording: Recording, kernel: Array, bias: Array, rate: float) -> Array:
    """Return each step's mean squared error; `kernel` `(T·F, 1)` and `bias` `(1,)` are initial."""
    assert recording.batches is not None
    found = []
    for batch in recording.batches:
        rows = batch[batch >= 0]
        x = recording.data["x"][rows].astype(float).reshape(len(rows), -1)  # (B, T·F)
        error = x @ kernel + bias - recording.data["y"][rows]  # (B, 1)
        found.append((error**2).mean())
        kernel = kernel - rate * 2 * x.T @ error / len(rows)
        bias = bias - rate * 2 * error.mean(0)
    return np.array(found)


def agree(recording: Recording, by_hand: Array, rtol: float = 1e-12) -> None:
    """Assert that the recorded losses are those worked out by hand."""
    assert recording.losses is not None
    np.testing.assert_allclose(recording.losses, by_hand, rtol=rtol)


def disagree(recording: Recording, by_hand: Array) -> None:
    """Assert that no recorded loss is the one worked out by hand of something else."""
    assert recording.losses is not None
    assert (np.abs(recording.losses - by_hand)[:3] > 1e-3 * recording.losses[:3]).all()
