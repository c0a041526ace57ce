"""The interface through which training records its numbers."""

from pathlib import Path
from typing import Protocol

from backends import State
from harness.core.arrays import Array


class Recorder(Protocol):
    """The record of a training: a `RunLog`, or in `harness.why` a list of losses."""

    directory: Path  # for checkpoints

    def write(self, kind: str, **fields: object) -> None:
        """Record an event."""
        ...

    def metrics(self, step: int, values: dict[str, Array], state: State | None = None) -> None:
        """Record metrics by name, `(R,)` each, of one epoch, and the state after it."""
        ...

    def file(self, path: str) -> None:
        """Record a file, by its path in `directory`."""
        ...

    def checkpoint(self, path: str, epoch: int) -> None:
        """Record the checkpoint of an epoch, by its path in `directory`."""
        ...

    def sync(self) -> None:
        """Force all records so far to the disk."""
        ...
