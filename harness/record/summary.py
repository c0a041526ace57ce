"""What is said of a recording once its program has ended."""

from pathlib import Path

import numpy as np

from harness.console.command_line import counted
from harness.recorder.recording import Recording


def summary(folder: Path, recording: Recording) -> str:
    """Return a line that says what was recorded."""
    parts = [recording.framework, counted(recording.steps, "steps")]
    if recording.epochs is not None:
        parts.append(counted(len(np.unique(recording.epochs)), "epochs"))
    if recording.batches is not None:
        parts.append(f"batches of {recording.batches.shape[1]}")
        parts.append(counted(int(recording.batches.max()) + 1, "samples"))
    if recording.losses is not None:
        parts.append(f"loss {recording.losses[0]:.4g} → {recording.losses[-1]:.4g}")
    return f"{folder}: {', '.join(parts)}."
