"""Show how far a sweep is, from the journals of its jobs, wherever these run."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from harness.console.progress import Count
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.tracking.journal import Event, between, first, latest
from harness.tracking.launched_jobs import attempt_of

LOOK = 1.0  # seconds between two looks at the journals
SECONDS_BETWEEN_LINES = 60.0  # where there is no terminal


class SweepProgress:
    """A context manager that shows how many jobs are done, failed and running.

    `total` jobs are to run; what the sweep's journal has already is not counted.
    """

    def __init__(self, sweep: Path, total: int) -> None:
        self._sweep = sweep
        self._count = Count(total, "jobs", SECONDS_BETWEEN_LINES)
        self._offset = self._size()
        self._running: dict[int, Path] = {}  # number of a job -> its folder
        self._shares: dict[int, float] = {}  # number of a job -> share of its epochs that is done
        self._total, self._began = total, time.monotonic()
        self._failed: set[int] = set()
        self._done: set[int] = set()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._count.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._count.__exit__()

    def _size(self) -> int:
        return (self._sweep / JOURNAL).stat().st_size

    def _watch(self) -> None:
        while not self._ends.wait(LOOK):
            with suppress(OSError, ConfigError):  # the end of the sweep says what is wrong
                self._look()
                self._show()

    def _look(self) -> None:
        for event, end in between(self._sweep, self._offset, self._size()):
            self._offset = end
            if event is not None and event["kind"] == "job":
                attempt = attempt_of(self._sweep, event)
                self._running[attempt.number] = attempt.folder
        for number, folder in list(self._running.items()):
            event = latest(folder)
            if event is None or event["kind"] != "end":
                self._shares[number] = _share(folder, event, self._shares.get(number, 0.0))
            elif event["status"] != "KILLED" or event.get("pruned"):  # else it may be tried again
                del self._running[number]
                self._done.add(number)
                self._shares[number] = 1.0
                if event["status"] == "FAILED":
                    self._failed.add(number)

    def _show(self) -> None:
        rate = len(self._done) / (time.monotonic() - self._began)
        speed = f"{rate:.1f} a second" if rate >= 1 else f"{60 * rate:.1f} a minute"
        note = f"{len(self._failed)} failed, {len(self._running)} running, {speed}"
        self._count.show(len(self._done), note, sum(self._shares.values()) / self._total)


def _share(folder: Path, event: Event | None, before: float) -> float:
    """Return the share of a job's epochs that is done, by the last line of its journal."""
    if event is None or event["kind"] != "metrics" or not event["step"]:
        return before
    start = first(folder, ("start",))
    epochs = 0 if start is None else int(start["params"].get("trainer.epochs") or 0)
    return min(event["step"] / epochs, 1.0) if epochs else before
