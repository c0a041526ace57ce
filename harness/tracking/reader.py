"""Send several journals to MLflow, each as it grows, until all of it is there.

A store that fails is left alone for a while. Journals are sent in the order in which they were
named. The jobs of a sweep are followed as its journal names them, and it is complete when they are:
its description names their places in MLflow.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from harness.core.errors import ConfigError
from harness.core.file_names import SENT
from harness.tracking import sent
from harness.tracking.destination import Destination
from harness.tracking.followed import Followed
from harness.tracking.follower import Follower
from harness.tracking.journal import BEGINNINGS, end_of, first
from harness.tracking.mlflow_errors import explained
from harness.tracking.named_jobs import NamedJobs
from harness.tracking.store_pauses import PAUSE, StorePauses

BRIEFLY = 0.05  # seconds, for a sweep whose jobs come first
SHARE = 0.1  # of the time, for which runs that go on are sent at most: they need the processor


@dataclass
class Reader:
    """The journals that are followed. `report` is called after each try to send one."""

    report: Callable[[Followed], None]
    open: dict[Path, Followed] = field(default_factory=dict[Path, Followed])
    _pauses: StorePauses = field(default_factory=StorePauses)
    _complete: set[Path] = field(default_factory=set[Path])  # all of these was sent, and reported

    def follow(
        self, directory: Path, every: float, place: Destination | None = None, is_new: bool = False
    ) -> None:
        """Follow a journal, or look at it at once if it is followed already.

        `place` is by default the run's own destination. Nothing happens for a run without one.
        """
        directory = directory.resolve()
        if directory in self._complete:
            return
        if directory in self.open:
            self.open[directory].look_again()
            return
        place = place or sent.destination(directory)
        if place is not None:
            begin = first(directory, BEGINNINGS)
            is_sweep = begin is not None and begin["kind"] == "sweep"
            follower = Follower(directory, place, is_new)
            jobs = NamedJobs(directory) if is_sweep else None
            self.open[directory] = Followed(
                directory=directory, follower=follower, every=every, jobs=jobs
            )
            self._follow_sweep_of(directory, every, place)

    def follows(self, directory: Path) -> bool:
        """Return whether a run is followed, or will be with its sweep."""
        return directory.resolve() in self.open or _sweep_of(directory) in self.open

    def _follow_sweep_of(self, directory: Path, every: float, place: Destination) -> None:
        """Follow the sweep that a run is part of, too."""
        sweep = _sweep_of(directory)
        if sweep is not None:
            if sweep not in self.open:
                self.follow(sweep, every, place, is_new=not (sweep / SENT).exists())
            self.open[directory].sweep = sweep

    def advance(self) -> None:
        """Send what is due of every journal."""
        now = time.monotonic()
        for sweep in [run for run in self.open.values() if run.is_sweep and run.due <= now]:
            with suppress(OSError, ConfigError):  # `_send` says what is wrong with it
                self._follow_jobs(sweep)
        due = [run for run in self.open.values() if run.due <= now]
        for run in sorted(due, key=lambda run: run.is_sweep):
            self._send(run)
            if run.is_complete:
                self._complete.add(run.directory)
                del self.open[run.directory]

    def _follow_jobs(self, sweep: Followed) -> None:
        """Follow the jobs that a sweep's journal has named since the last look."""
        assert sweep.jobs is not None
        for directory in sweep.jobs.begun():
            self._follow_job(directory, sweep)
        if end_of(sweep.directory) is not None:
            for job in self._jobs(sweep):
                job.due = 0.0

    def _follow_job(self, directory: Path, sweep: Followed) -> None:
        """Follow a job: one that goes on is sent for the first time after `every` seconds.

        By then a short one has ended, and is sent at once.
        """
        if directory.resolve() in self.open or sent.is_complete(directory):
            return
        self.follow(directory, sweep.every, is_new=not (directory / SENT).exists())
        job = self.open.get(directory.resolve())
        if job is not None and end_of(directory) is None:
            job.due = time.monotonic() + sweep.every

    def _jobs(self, sweep: Followed) -> list[Followed]:
        """Return the jobs of a sweep that are not complete."""
        return [run for run in self.open.values() if run.sweep == sweep.directory]

    def _may_end(self, sweep: Followed) -> bool:
        """Return whether a sweep has ended, and all of its jobs are sent that can be."""
        if end_of(sweep.directory) is None:
            return False
        self._follow_jobs(sweep)  # those that its journal has named since the last look
        return all(job.problem or not end_of(job.directory) for job in self._jobs(sweep))

    def progress(self) -> dict[Path, tuple[int, int]]:
        """Return how many bytes of each journal are in MLflow, of its numbers and of its files."""
        followers = {path: run.follower for path, run in self.open.items()}
        return {path: (it.sent.numbers, it.sent.files) for path, it in followers.items()}

    def seconds_to_wait(self) -> float:
        """Return how long nothing is due."""
        now = time.monotonic()
        return max(0.0, min((run.due - now for run in self.open.values()), default=60.0))

    def _send(self, run: Followed) -> None:
        store = run.follower.place.uri
        began = time.monotonic()
        if began < self._pauses.end(store):
            run.due = self._pauses.end(store)
            return
        try:
            if run.is_sweep:
                run.follower.holds_end = not self._may_end(run)
            run.send(self._jobs(run) if run.is_sweep else ())
        except Exception as error:  # whatever a store does, and a folder that is gone
            run.fail(explained(error))
            if not isinstance(error, ConfigError | FileNotFoundError):
                self._pauses.failed(store)
        else:
            self._pauses.answered(store)
        run.due = self._next_look(run, began)
        self.report(run)

    def _next_look(self, run: Followed, began: float) -> float:
        """Return when a journal is looked at again of which a look has begun at `began`."""
        now = time.monotonic()
        if run.follower.holds_end and end_of(run.directory) is not None:
            return now + BRIEFLY  # its jobs are sent meanwhile
        enough = (now - began) * len(self.open) / SHARE if run.every else 0.0
        every = 0.0 if run.follower.has_more else run.every
        return now + max(every, enough, PAUSE if run.problem else 0.0)


def _sweep_of(directory: Path) -> Path | None:
    """Return the directory of the sweep that a run is part of."""
    start = first(directory, ("start",))
    parent = None if start is None else start.get("parent")
    return None if parent is None else (directory / parent).resolve()
