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

A tracking server that fails never stops a run: its events wait and are sent with the next batch,
and what could not be sent at all is still in the journal.
"""

import logging
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from harness import signals
from harness.errors import ConfigError, first_line
from harness.journal import Event, Journal

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds, doubled at each failure of the tracking server


class View(Protocol):
    """Something that shows events elsewhere: `harness.tracking.MlflowView`."""

    address: dict[str, str]  # where the run can be found there; empty until it is known

    def send(self, events: list[Event]) -> None:
        """Show `events` in order and remove from the list what has arrived."""
        ...


class Recorder(Protocol):
    """What training writes to: a `Record`, or for `harness.why` something that keeps losses."""

    directory: Path  # for checkpoints

    def write(self, kind: str, **fields: Any) -> None: ...

    def metrics(self, step: int, values: dict[str, np.ndarray]) -> None: ...

    def file(self, path: str) -> None: ...


class Record:
    """A context manager that always closes the run, with the status that fits how it ended."""

    def __init__(self, directory: Path, view: View | None, flush_seconds: float) -> None:
        self.directory = directory
        self.journal = Journal(directory)
        self.view = view
        self.flush_seconds = flush_seconds
        self.tracking_seconds = 0.0
        self.status = "FINISHED"
        self.unsent: list[Event] = []
        self.lost: list[Event] = []  # what MLflow refused
        self._flushed = time.monotonic()
        self._ended = False
        self._announced = False
        self._pause, self._not_before = PAUSE, 0.0

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
            self.status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        message = f"{kind.__name__}: {error}" if kind is not None else None
        with signals.closing():
            try:
                if self.status == "FAILED" and error is not None:
                    text = "".join(traceback.format_exception(error))
                    (self.directory / "traceback.txt").write_text(text, encoding="utf-8")
                    self.file("traceback.txt")
            finally:
                self.end(self.status, message)

    def write(self, kind: str, **fields: Any) -> None:
        """Journal an event and queue it; send the queue if it has waited long enough."""
        self.unsent.append(self.journal.write(kind, **fields))
        if time.monotonic() - self._flushed > self.flush_seconds:
            self.flush()

    def metrics(self, step: int, values: dict[str, np.ndarray]) -> None:
        """One value per replica under each name, at epoch `step`."""
        if values:
            self.write("metrics", step=step, values={n: v.tolist() for n, v in values.items()})

    def file(self, path: str) -> None:
        self.write("file", path=path)

    def end(self, status: str, error: str | None = None) -> None:
        """The last event; afterwards nothing waits and the journal is closed."""
        if self._ended:
            return
        self._ended = True
        self.file("journal.jsonl")
        self.write("end", status=status, error=error)
        self._last_flush()
        self.journal.close()

    def flush(self) -> None:
        """Send all that waits, in one batch. A failure is logged and what was not sent is kept;
        the next try comes after a pause that doubles, or when the run ends."""
        began = time.monotonic()
        if self.view is None:
            self.unsent.clear()
        elif self.unsent and began >= self._not_before and not self._try(self.view):
            self._not_before = time.monotonic() + self._pause
            self._pause *= 2
        self._flushed = time.monotonic()
        self.tracking_seconds += self._flushed - began

    def _last_flush(self) -> None:
        """Send what can be sent: an event that fails is set aside, since what MLflow refuses must
        not keep the others from it. After three failures only the end is tried."""
        refused = 0
        while self.view is not None and self.unsent and not self._try(self.view):
            if not self.view.address:  # it does not even know the run
                break
            refused += 1
            self.lost.append(self.unsent.pop(0))
            if refused == 3:
                self.lost += self.unsent[:-1]
                self.unsent = self.unsent[-1:]
        if self.view is not None and (self.lost or self.unsent):
            kinds = sorted({event["kind"] for event in [*self.lost, *self.unsent]})
            log.error(
                "MLflow is missing part of this run (%s); its journal is complete: %s",
                ", ".join(kinds),
                self.directory,
            )

    def _try(self, view: View) -> bool:
        """Send the queue; False if MLflow would not take all of it."""
        try:
            view.send(self.unsent)
        except Exception as error:  # whatever a tracking server does, the run goes on
            if isinstance(error, ConfigError) and not self._ended:
                self.view = None  # the user can put it right: nothing has been trained yet
                raise
            log.warning("MLflow did not take a batch: %s", first_line(error)[:300])
        if view.address and not self._announced:
            self._announced = True
            self.journal.write("mlflow", **view.address)
        return not self.unsent
