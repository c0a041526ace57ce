"""Batches of jobs: what a launch gets to carry out, at once or while other jobs run."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Batch:
    """Jobs that may begin together: the number of the first, and the overrides of each."""

    number: int
    overrides: Sequence[Sequence[str]]

    @property
    def numbers(self) -> range:
        """The numbers of the jobs."""
        return range(self.number, self.number + len(self.overrides))


class Batches(Protocol):
    """The jobs of a launch: a batch may begin once certain others have ended."""

    size: int  # jobs of a batch at most
    outstanding: int  # batches that are in work at once, at most
    total: int  # jobs of all batches

    def next(self, ended: Container[int]) -> Batch | None:
        """Return the next batch that may begin, by the numbers of the jobs that have ended.

        None where there is none now.
        """
        ...


class OneBatch:
    """Jobs that may all begin at once."""

    def __init__(self, batch: Batch) -> None:
        self.size = self.total = len(batch.overrides)
        self.outstanding = 1
        self._left = [batch]

    def next(self, ended: Container[int]) -> Batch | None:  # noqa: ARG002  # none depends on another
        """Return the jobs, the first time."""
        return self._left.pop() if self._left else None


def launch_each(batches: Batches, launch: Callable[[Batch], object]) -> None:
    """Launch batches one after the other, by a launcher that takes no more while jobs run."""
    ended: set[int] = set()
    while (batch := batches.next(ended)) is not None:
        launch(batch)
        ended |= set(batch.numbers)
