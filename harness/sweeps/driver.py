"""Let an engine carry out the units of a sweep, and carry them out again where a worker dies.

The first death costs a unit a second try, the second one its jobs one by one; a job whose worker
dies even so is the guilty one, and fails.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.runs.folders import first_free
from harness.sweeps import jobs
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses
from harness.system import signals
from harness.tracking.dead_runs import end_if_dead
from harness.tracking.launched_jobs import launched_jobs

log = logging.getLogger(__name__)

TOGETHER = 2  # tries of a unit of several jobs
ALONE = 2  # tries of a job by itself
LOOK = 0.5  # seconds between two looks whether the program is to stop


# The units that may begin, now that jobs have ended with these losses; called as units end.
More = Callable[[Losses], Sequence[WorkUnit]]


class Engine(Protocol):
    """What carries units out in other processes."""

    @property
    def slots(self) -> int:
        """The units that it carries out at once."""
        ...

    def submit(self, unit: WorkUnit) -> "Future[Losses]":
        """Begin to carry out a unit."""
        ...

    def how_it_died(self, error: BaseException) -> str | None:
        """Return how a worker ended from what a future raises; None if none has ended."""
        ...

    def stop(self) -> None:
        """Let all workers close their runs, and end."""
        ...

    def close(self) -> None:
        """End the workers, which are idle."""
        ...


@dataclass(kw_only=True)
class Try:
    """A unit, and how often it was carried out before."""

    unit: WorkUnit
    before: int = 0


class Driver:
    """The units of a sweep that an engine carries out, as many at once as it has slots."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.losses = engine, Losses()
        self._waiting: deque[Try] = deque()
        self._running: dict[Future[Losses], Try] = {}

    def run(self, units: Sequence[WorkUnit], more: More) -> Losses:
        """Carry out units, and those of `more`; return the loss of each job, NaN where it failed.

        Raises `KeyboardInterrupt`, such as `FailedFast`, when all workers have closed their runs
        after a stop.
        """
        self._waiting.extend(Try(unit=unit) for unit in units)
        try:
            while self._waiting or self._running:
                while self._waiting and len(self._running) < self.engine.slots:
                    begun = self._waiting.popleft()
                    self._running[self.engine.submit(begun.unit)] = begun
                done, _ = wait(self._running, timeout=LOOK, return_when=FIRST_COMPLETED)
                signals.raise_if_stopped()
                for future in done:
                    self._take(future)
                if done:
                    self._waiting.extend(Try(unit=unit) for unit in more(self.losses))
        except BaseException:
            with signals.closing():
                self.engine.stop()
            raise
        self.engine.close()
        return self.losses

    def _take(self, future: "Future[Losses]") -> None:
        """Take the result of a unit, or let it be carried out again."""
        begun = self._running.pop(future)
        unit, tries = begun.unit, begun.before + 1
        error = future.exception()
        if error is None:
            self.losses |= future.result()
            return
        how = self.engine.how_it_died(error)
        if how is None:
            raise error
        self._end_runs(unit)
        several = len(unit.jobs) > 1
        names = f"#{unit.jobs[0].number}" + (f" to #{unit.jobs[-1].number}" if several else "")
        log.warning("the worker process of %s %s", names, how)
        if tries < (TOGETHER if several else ALONE):
            self._waiting.appendleft(Try(unit=unit, before=tries))
        elif several:
            self._waiting.extendleft(Try(unit=single) for single in reversed(unit.singly()))
        else:
            self._fail(unit, how)

    def _end_runs(self, unit: WorkUnit) -> None:
        """Write the missing ends of a unit's runs: their process is gone."""
        numbers = {job.number for job in unit.jobs}
        for attempt in launched_jobs(Path(unit.sweep.directory)):
            if attempt.number in numbers:
                end_if_dead(attempt.folder, is_gone=True)

    def _fail(self, unit: WorkUnit, how: str) -> None:
        """Record the job of a unit as failed, whose worker dies again and again."""
        [job] = unit.jobs
        directory = first_free(job.directory)
        jobs.begin(unit.sweep, job.number, directory)
        error = RuntimeError(f"its worker process {how}, {ALONE} times")
        jobs.note_failure(unit.sweep, job.number, directory, job.overrides, error)
        self.losses[job.number] = float("nan")
