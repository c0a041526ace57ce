"""The record of one run: every event goes to the journal first, then, in batches, to MLflow.

    start    name, experiment, note, params, tags       the run begins
    mlflow   run_id, experiment_id, uri                 MLflow knows it under this id
    tags     values
    metrics  step, values: name -> one number per replica
    scalars  values: name -> number (or one per replica), once per run
    dataset  name, digest, source, shapes               what it trained on
    file     path, relative to the run's directory
    table    path of a CSV that MLflow shall show as a table
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

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL, TRACEBACK
from harness.system import signals
from harness.tracking.journal import Event, Journal


class Tracking(Protocol):
    """Where the events go besides the journal: an `EventBuffer`, here or in another process.

    Raises `ConfigError` for what the user can put right.
    """

    def wait_for_address(self) -> dict[str, str]:
        """Wait until the run's place is known, or cannot be any more; return its `run_id`,
        `experiment_id` and `uri` in MLflow, or nothing."""
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
    """A context manager that always closes the run, with the status that fits how it ended."""

    def __init__(self, directory: Path, tracking: Tracking | None) -> None:
        self.directory = directory
        self.journal = Journal(directory)
        self.tracking = tracking
        self.tracking_seconds = 0.0  # that the run has waited for it
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
        """Journal an event and hand it on."""
        event = self.journal.write(kind, **fields)
        if self.tracking is not None:
            with self._timed():
                self.tracking.add(event)

    def metrics(self, step: int, values: dict[str, Array]) -> None:
        """One value per replica under each name, at epoch `step`."""
        if values:
            self.write("metrics", step=step, values={n: v.tolist() for n, v in values.items()})

    def file(self, path: str) -> None:
        """Record a file of the run, by its path in the run's directory."""
        self.write("file", path=path)

    def end(self, status: str, error: str | None = None) -> None:
        """The last event; afterwards nothing waits and the journal is closed."""
        if self._ended:
            return
        self._ended = True
        with suppress(ConfigError):  # it is too late to stop for what MLflow says
            self.file(JOURNAL)
        with suppress(ConfigError):
            self.write("end", status=status, error=error)
        try:
            self.journal.close()
        finally:  # whoever waits for the run to arrive in MLflow must not wait for ever
            if self.tracking is not None:
                self.tracking.close()

    def flush(self) -> None:
        """Have all that waits sent now."""
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
