"""The record of one run: every event goes to its journal, which MLflow's process reads.

    start    name, experiment, note, params, tags       the run begins
             parent                                     the sweep's directory, seen from the run's
             store                                      see `destination`; null without MLflow
    tags     values
    metrics  step, values: name -> one number per replica;
             state: a digest of weights and optimiser memory after a trained epoch
    scalars  values: name -> number (or one per replica), once per run
    system   step, values: name -> number               the machine's load, every 5 s
    dataset  name, digest, source, shapes               the training data
    file     path, relative to the run's directory; bytes, sha256
    checkpoint  path, epoch, bytes, sha256; in the journal alone
    table    path of a CSV, for MLflow to show as a table
    model    path of `model.json`, see `harness.runs.mlflow_model`, for MLflow's page of models
    end      status, error                              FINISHED, FAILED or KILLED
             cost                                       see `harness.runs.cost`; of a finished run
             pruned                                     true where a search has pruned it (KILLED)

A resumed run begins with a copy of the metrics of those epochs that it does not train itself.
A job of a sweep that could not begin has `refused` (name, command) and `end` alone, and no view.

A sweep's own journal begins with `sweep` (arguments, varying, jobs; hydra, options and results as
typed; path, as typed, and items of a sweep file) and lists its jobs as they begin: `job` (number,
folder; reused, and the id of its journal, where a run outside the sweep is meant), or `refused`
(number, name, command, error) where there was no folder for it. One that goes on has `resumed`
(process), and an end each time. `submitted` (to, ids) says who carries out its jobs when its
program has ended.
Its `start` and all that follows are those of the parent run in MLflow; before its end, its own
`scalars` and files, and `summary` (text), with which its description begins. Paths are relative to
the journal's directory.
"""

import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from backends import State
from harness.core.arrays import Array
from harness.core.errors import Pruned
from harness.core.file_names import TRACEBACK
from harness.system import signals
from harness.system.checksum import checksum
from harness.system.durable_files import write_file
from harness.tracking import system_metrics
from harness.tracking.journal_writer import Journal
from harness.tracking.state_digest import state_digest


class Tracking(Protocol):
    """The way of a journal to MLflow: a `harness.tracking.upload.Upload`."""

    problem: str  # why MLflow does not have all of the run

    @property
    def store(self) -> dict[str, str]:
        """Where the run is to be tracked, as its journal has it."""
        ...

    def tell(self) -> None:
        """Say that the journal has news."""
        ...

    def wait_for_address(self) -> dict[str, str]:
        """Wait until all of the run is in MLflow, or for too long.

        Returns its `run_id`, `experiment_id` and `uri`; an empty dict if not all of it is there.
        """
        ...


class RunLog:
    """A context manager that records a run and always closes it, with the status of its end."""

    def __init__(self, directory: Path, tracking: Tracking | None) -> None:
        self.directory = directory
        self.journal = Journal(directory)
        self.tracking = tracking
        self.tracking_seconds = 0.0  # for which the run has waited for its journal
        self.status = "FINISHED"
        self.cost: dict[str, object] | None = None  # of a finished run, for its `end`
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(f"recorded in {self.directory}")
            stop = error if isinstance(error, KeyboardInterrupt) else signals.requested_stop()
            error = stop or error
            killed = isinstance(error, KeyboardInterrupt | Pruned)
            self.status = "KILLED" if killed else "FAILED"
        message = None if error is None else f"{type(error).__name__}: {error}"
        with signals.closing():
            try:
                if self.status == "FAILED" and error is not None:
                    text = "".join(traceback.format_exception(error))
                    write_file(self.directory / TRACEBACK, text)
                    self.file(TRACEBACK)
            finally:
                self._close(error, message)

    def _close(self, error: BaseException | None, message: str | None) -> None:
        if not isinstance(error, Pruned):
            self.end(self.status, message)
            return
        self.write("tags", values={"trial.state": "pruned"})
        self.end(self.status, str(error), pruned=True)

    def start(self, **fields: object) -> None:
        """Record the first event, with the place where the run is to be tracked."""
        store = None if self.tracking is None else self.tracking.store
        self.write("start", **fields, store=store)
        system_metrics.watch(self, self.directory)

    def write(self, kind: str, **fields: object) -> None:
        """Write an event to the journal."""
        with self._timed():
            self.journal.write(kind, **fields)

    def metrics(self, step: int, values: dict[str, Array], state: State | None = None) -> None:
        """Record metrics by name, `(R,)` each, at epoch `step`, and the state after it."""
        if values:
            numbers = {name: value.tolist() for name, value in values.items()}
            digest = {} if state is None else {"state": state_digest(state)}
            self.write("metrics", step=step, values=numbers, **digest)

    def file(self, path: str) -> None:
        """Record a file of the run, by its path in the run's directory."""
        self.write("file", path=path, **checksum(self.directory / path))

    def checkpoint(self, path: str, epoch: int) -> None:
        """Record the checkpoint of an epoch, in the journal alone."""
        sums = checksum(self.directory / path)
        self.journal.write("checkpoint", path=path, epoch=epoch, **sums)

    def sync(self) -> None:
        """Force all events so far to the disk."""
        self.journal.sync()

    def end(self, status: str, error: str | None = None, **more: object) -> None:
        """Record the last event and close the journal."""
        if self._ended:
            return
        self._ended = True
        system_metrics.unwatch(self)
        try:
            cost = {} if self.cost is None else {"cost": self.cost}
            self.write("end", status=status, error=error, **cost, **more)
            self.journal.close()
        finally:
            self.flush()

    def flush(self) -> None:
        """Have MLflow's process read the journal now."""
        if self.tracking is not None:
            with self._timed():
                self.tracking.tell()

    @contextmanager
    def _timed(self) -> Generator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.tracking_seconds += time.monotonic() - began
