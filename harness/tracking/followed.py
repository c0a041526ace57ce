"""A journal that is followed: how far it is, and when it is looked at next."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from harness.core.file_names import JOURNAL
from harness.tracking.follower import Follower
from harness.tracking.named_jobs import NamedJobs

PORTION = 1 << 20  # bytes of a journal that are sent at one look; then others have their turn


@dataclass(kw_only=True)
class Followed:
    """A journal that is followed."""

    directory: Path
    follower: Follower
    every: float  # seconds between two looks at it
    jobs: NamedJobs | None = None  # of a sweep
    sweep: Path | None = None  # of which it is a job
    due: float = 0.0
    problem: str = ""  # why something of it is not in MLflow; empty if all is
    is_complete: bool = False
    _size: int = -1  # of the journal, when all of it was last sent

    @property
    def is_sweep(self) -> bool:
        """Whether it is the journal of a sweep."""
        return self.jobs is not None

    def look_again(self) -> None:
        """Let it be looked at at once, also if it has not grown."""
        self.due, self._size = 0.0, -1

    def send(self, open_jobs: Sequence[Self]) -> None:
        """Send a portion of what is new; a sweep is complete when none of its jobs is open.

        Raises what `Follower.advance` raises.
        """
        size = (self.directory / JOURNAL).stat().st_size
        if size != self._size or self.problem:
            self.is_complete = self.follower.advance(PORTION).complete
            self._size, self.problem = size, self.follower.problem
        if self.is_complete and open_jobs:
            self.is_complete, self.problem = False, open_jobs[0].problem
        if self.follower.holds_end or self.follower.has_more or self.problem:
            self._size = -1

    def fail(self, problem: str) -> None:
        """Note why nothing could be sent."""
        self.problem, self._size = problem, -1
