"""Explain why a run has no final weights, and what to do about it."""

from pathlib import Path

from harness.config.damaged_files import RESTORE
from harness.runs.resume import checkpoint_names, command
from harness.tracking.journal import last


def why_no_weights(directory: Path) -> str:
    """Return the reason, from the run's journal, and the remedy."""
    end = last(directory, "end")
    if end is not None and end["status"] == "FINISHED":
        return f"it ended as FINISHED, and the file is gone since; {RESTORE}"
    if end is not None and end["status"] == "FAILED":
        reason = (end.get("error") or "see its traceback.txt").splitlines()[0].rstrip(".")
        return f"it ended as FAILED ({reason}); train it again"
    how = f"it ended as {end['status']}" if end else "it was killed, or still trains"
    if checkpoint_names(directory):
        return f"{how}; go on with: {command(directory, 'results')} and export the new run"
    return f"{how} and kept no checkpoint; train it again"
