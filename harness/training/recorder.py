"""What training writes its numbers to, as far as training knows."""

from pathlib import Path
from typing import Protocol

from harness.core.arrays import Array


class Recorder(Protocol):
    """What training writes to: a `RunLog`, or for `harness.why` something that keeps losses."""

    directory: Path  # for checkpoints

    def write(self, kind: str, **fields: object) -> None:
        """Record an event."""
        ...

    def metrics(self, step: int, values: dict[str, Array]) -> None:
        """Record metrics by name, `(R,)` each, of one epoch."""
        ...

    def file(self, path: str) -> None:
        """Record a file, by its path in `directory`."""
        ...
