"""The buffer of one run's events on their way to MLflow, which are sent in batches.

A tracking server that fails never stops a run: its events wait and are sent with the next batch,
and events that could not be sent at all are still in the journal.
"""

import logging
import time
from pathlib import Path
from typing import Protocol

from harness.core.errors import ConfigError, first_line
from harness.tracking.journal import Event, append

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds, doubled at each failure of the tracking server


class View(Protocol):
    """A destination of events: `harness.tracking.mlflow_writer.MlflowWriter`."""

    address: dict[str, str]  # the run's place there; empty until it is known

    def send(self, events: list[Event]) -> None:
        """Send `events` in order and remove those that have arrived from the list."""
        ...


class EventBuffer:
    """A buffer that sends the events of a run to a view, in batches `flush_seconds` apart.

    `directory` is the run's.
    """

    def __init__(self, directory: Path, view: View, flush_seconds: float) -> None:
        self.directory, self.view, self.flush_seconds = directory, view, flush_seconds
        self.unsent: list[Event] = []
        self.lost: list[Event] = []  # events that MLflow refused
        self._refused = False  # whether MLflow refused the run, which the user can put right
        self._closing = False
        self._announced = bool(view.address)
        self._flushed = time.monotonic()
        self._pause, self._not_before = PAUSE, 0.0

    def wait_for_address(self) -> dict[str, str]:
        """Return the run's address in MLflow, or an empty one if it is not there."""
        return self.view.address

    def add(self, event: Event) -> None:
        """Queue an event; send the queue if it has waited long enough."""
        self.unsent.append(event)
        if time.monotonic() - self._flushed > self.flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Send all events that wait.

        A failure is logged, and events that were not sent are kept; the next try comes after a
        pause that doubles with each failure, or when the run ends. Raises `ConfigError` for a
        failure that the user can put right; no events are sent from then on.
        """
        now = time.monotonic()
        if self._refused:
            self.unsent.clear()
        elif self.unsent and now >= self._not_before and not self._try():
            self._not_before = time.monotonic() + self._pause
            self._pause *= 2
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Send the events that can be sent, and log which could not.

        An event that fails is set aside, so that the others still reach MLflow. After three
        failures only the last event, the end of the run, is tried.
        """
        self._closing = True
        while not self._refused and self.unsent and not self._try():
            if not self.view.address:  # MLflow does not even know the run
                break
            self.lost.append(self.unsent.pop(0))
            if len(self.lost) == 3:
                self.lost += self.unsent[:-1]
                self.unsent = self.unsent[-1:]
        if not self._refused and (self.lost or self.unsent):
            kinds = sorted({event["kind"] for event in [*self.lost, *self.unsent]})
            say_lost(kinds, self.directory)

    def _try(self) -> bool:
        """Send the queue; return whether MLflow took all of it."""
        try:
            self.view.send(self.unsent)
        except Exception as error:  # whatever a tracking server does, the run goes on
            if isinstance(error, ConfigError) and not self._closing:
                self._refused = True
                raise
            log.warning("MLflow did not take a batch: %s", first_line(error)[:300])
        if self.view.address and not self._announced:
            self._announced = True
            append(self.directory, "mlflow", **self.view.address)
        return not self.unsent


def say_lost(kinds: list[str], directory: Path) -> None:
    """Log which kinds of events MLflow did not get."""
    message = "MLflow is missing part of this run (%s); its journal is complete: %s"
    log.error(message, ", ".join(kinds), directory)
