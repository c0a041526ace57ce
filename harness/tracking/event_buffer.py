"""What one run's events go through on their way to MLflow: they wait for a batch, and for a server
that fails.

A tracking server that fails never stops a run: its events wait and are sent with the next batch,
and what could not be sent at all is still in the journal.
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
    """Something that shows events elsewhere: `harness.tracking.mlflow_writer.MlflowWriter`."""

    address: dict[str, str]  # where the run can be found there; empty until it is known

    def send(self, events: list[Event]) -> None:
        """Show `events` in order and remove from the list what has arrived."""
        ...


class EventBuffer:
    """Sends the events of the run in `directory` to a view, in batches `flush_seconds` apart."""

    def __init__(self, directory: Path, view: View, flush_seconds: float) -> None:
        self.directory, self.view, self.flush_seconds = directory, view, flush_seconds
        self.unsent: list[Event] = []
        self.lost: list[Event] = []  # what MLflow refused
        self._refused = False  # for a reason that the user can put right
        self._closing = False
        self._announced = bool(view.address)
        self._flushed = time.monotonic()
        self._pause, self._not_before = PAUSE, 0.0

    def wait_for_address(self) -> dict[str, str]:
        """Return where the run is in MLflow, or nothing if it is not there."""
        return self.view.address

    def add(self, event: Event) -> None:
        """Queue an event; send the queue if it has waited long enough."""
        self.unsent.append(event)
        if time.monotonic() - self._flushed > self.flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Send all that waits. A failure is logged and what was not sent is kept; the next try
        comes after a pause that doubles, or when the run ends.

        Raises `ConfigError` for what the user can put right; nothing is sent from then on.
        """
        now = time.monotonic()
        if self._refused:
            self.unsent.clear()
        elif self.unsent and now >= self._not_before and not self._try():
            self._not_before = time.monotonic() + self._pause
            self._pause *= 2
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Send what can be sent: an event that fails is set aside, since what MLflow refuses must
        not keep the others from it. After three failures only the end is tried."""
        self._closing = True
        while not self._refused and self.unsent and not self._try():
            if not self.view.address:  # it does not even know the run
                break
            self.lost.append(self.unsent.pop(0))
            if len(self.lost) == 3:
                self.lost += self.unsent[:-1]
                self.unsent = self.unsent[-1:]
        if not self._refused and (self.lost or self.unsent):
            kinds = sorted({event["kind"] for event in [*self.lost, *self.unsent]})
            say_lost(kinds, self.directory)

    def _try(self) -> bool:
        """Send the queue; False if MLflow would not take all of it."""
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
