"""The record of one run: every event goes to the journal first, then, in batches, to MLflow.

    start    name, experiment, note, params, tags       the run begins
    mlflow   run_id, experiment_id, uri                 MLflow knows it under this id
    tags     values
    metrics  step, values: name -> one number per replica;
             state: a digest of weights and optimiser memory after a trained epoch
    scalars  values: name -> number (or one per replica), once per run
    dataset  name, digest, source, shapes               the training data
    file     path, relative to the run's directory
    table    path of a CSV, for MLflow to show as a table
    end      status, error                              FINISHED, FAILED or KILLED

A resumed run begins with a copy of the metrics of those epochs that it does not train itself.
A job of a sweep that could not begin has `refused` (name, command) and `end` alone, and no view.

A sweep's own journal begins with `sweep` (arguments, varying, jobs) and lists its jobs as they
begin: `job` (number, folder), or `refused` (number, name, command, error) where there was no folder
for it. Its `start` and all that follows are those of the parent run in MLflow.
"""

import time
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from backends import State
from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL, TRACEBACK
from harness.system import signals
from harness.tracking.journal import Event, Journal
from harness.tracking.state_digest import state_digest


class Tracking(Protocol):
    """The destination of events besides the journal: an `EventBuffer`, here or in a process.

    Its methods raise `ConfigError` for a failure that the user can put right.
    """

    def wait_for_address(self) -> dict[str, str]:
        """Wait until it is known where the run is in MLflow, or that it is not there.

        Returns its `run_id`, `experiment_id` and `uri`, or an empty dict.
        """
        ...

    def add(self, event: Event) -> None:
        """Take the next event of the run."""
        ...

    def flush(self) -> None:
        """Write what is buffered."""
        ...

    def close(self) -> None:
        """Write what is buffered and close the run."""
        ...


class RunLog:
    """A context manager that records a run and always closes it, with the status of its end."""

    def __init__(self, directory: Path, tracking: Tracking | None) -> None:
        self.directory = directory
        self.journal = Journal(directory)
        self.tracking = tracking
        self.tracking_seconds = 0.0  # for which the run has waited for tracking
        self.status = "FINISHED"
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
            self.status = "FAILED" if stop is None else "KILLED"
            error = stop or error
        message = None if error is None else f"{type(error).__name__}: {error}"
        with signals.closing():
            try:
                if self.status == "FAILED" and error is not None:
                    text = "".join(traceback.format_exception(error))
                    (self.directory / TRACEBACK).write_text(text, encoding="utf-8")
                    self.file(TRACEBACK)
            finally:
                self.end(self.status, message)

    def write(self, kind: str, **fields: object) -> None:
        """Write an event to the journal and pass it on to tracking."""
        event = self.journal.write(kind, **fields)
        if self.tracking is not None:
            with self._timed():
                self.tracking.add(event)

    def metrics(self, step: int, values: dict[str, Array], state: State | None = None) -> None:
        """Record metrics by name, `(R,)` each, at epoch `step`, and the state after it."""
        if values:
            numbers = {name: value.tolist() for name, value in values.items()}
            digest = {} if state is None else {"state": state_digest(state)}
            self.write("metrics", step=step, values=numbers, **digest)

    def file(self, path: str) -> None:
        """Record a file of the run, by its path in the run's directory."""
        self.write("file", path=path)

    def end(self, status: str, error: str | None = None) -> None:
        """Record the last event, then close the journal and tracking."""
        if self._ended:
            return
        self._ended = True
        with suppress(ConfigError):  # the run has ended, so a refusal by MLflow comes too late
            self.file(JOURNAL)
        with suppress(ConfigError):
            self.write("end", status=status, error=error)
        try:
            self.journal.close()
        finally:  # a wait for the run to arrive in MLflow must end
            if self.tracking is not None:
                self.tracking.close()

    def flush(self) -> None:
        """Have tracking send all events that wait."""
        if self.tracking is not None:
            with self._timed():
                self.tracking.flush()

    @contextmanager
    def _timed(self) -> Generator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.tracking_seconds += time.monotonic() - began
