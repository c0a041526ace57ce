"""The order of a recorded training, as `trainer.order` takes it: its steps, epoch by epoch."""

import numpy as np

from harness.core.arrays import Array
from harness.recorder.recording import Recording


def order_of(recording: Recording) -> Array:
    """Return the samples of each step, `(E, S, B)`; -1 fills up short batches and short epochs."""
    batches = recording.batches
    assert batches is not None
    epochs = np.split(batches, _borders(recording, batches))
    order = np.full((len(epochs), max(map(len, epochs)), batches.shape[1]), -1)
    for number, steps in enumerate(epochs):
        order[number, : len(steps)] = steps
    return order


def _borders(recording: Recording, batches: Array) -> list[int]:
    """Return the first step of each epoch but the first.

    A recording that does not know its epochs begins one with the first sample that comes again.
    """
    if recording.epochs is not None:
        return (np.flatnonzero(np.diff(recording.epochs)) + 1).tolist()
    borders: list[int] = []
    seen: set[int] = set()
    for step, row in enumerate(batches):
        samples = set(row[row >= 0].tolist())
        if samples & seen:
            borders.append(step)
            seen = set()
        seen |= samples
    return borders
