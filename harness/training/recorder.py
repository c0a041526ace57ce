"""What training writes its numbers to, as far as training knows."""

from pathlib import Path
from typing import Protocol

from harness.core.arrays import Array


class Recorder(Protocol):
    """What training writes to: a `RunLog`, or for `harness.why` something that keeps losses."""

    directory: Path  # for checkpoints

    def write(self, kind: str, **fields: object) -> None: ...

    def metrics(self, step: int, values: dict[str, Array]) -> None: ...

    def file(self, path: str) -> None: ...
