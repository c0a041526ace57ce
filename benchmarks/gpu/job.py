"""The work of one process on a GPU: pieces of one framework, the most important first."""

import json
from dataclasses import asdict, dataclass
from typing import Any

Piece = dict[str, Any]  # facts by name; they are part of its row, too
Row = dict[str, Any]

NO_TIME = "no time was left"  # why a piece is left out


@dataclass(frozen=True, kw_only=True)
class Job:
    """Pieces of work, and the time for them."""

    framework: str
    device: str  # "cuda" or "cpu"
    pieces: list[Piece]
    threads: int
    repeats: int
    seconds: float  # for all
    each: float  # seconds that one piece may take

    def text(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))

    def about(self, piece: Piece) -> Row:
        """Return the beginning of a piece's row."""
        return {"framework": self.framework, **piece}
