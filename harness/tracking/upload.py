"""A run on its way to MLflow, and the program's wait for it."""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.system import signals
from harness.tracking.destination import Destination

ANNOUNCED = 1.5  # seconds of waiting after which the program says why it does not end


class Upload:
    """A run on its way to MLflow: the `harness.tracking.run_log.Tracking` of a run.

    `tell` names it to MLflow's process, which looks at the journal again after `every` seconds.
    """

    def __init__(
        self,
        directory: Path,
        place: Destination,
        tell: "Callable[[Upload], None]",
        every: float = 0.0,
        wait_seconds: float = 0.0,
    ) -> None:
        self.directory, self.place, self._tell = directory, place, tell
        self.every, self.wait_seconds = every, wait_seconds
        self.has_arrived = threading.Event()
        self.address: dict[str, str] = {}
        self.problem = "it has not been sent yet"

    @property
    def store(self) -> dict[str, str]:
        """Where the run is to be tracked, as its journal has it."""
        return self.place.seen_from(self.directory)

    def tell(self) -> None:
        """Let the process look at the journal, which has news."""
        self._tell(self)

    def request(self) -> dict[str, object]:
        """Return the request that `tell` sends."""
        return {"run": in_utf8(str(self.directory.resolve())), "every": self.every}

    def hear(self, address: dict[str, str], complete: bool, problem: str) -> None:
        """Take the process's report."""
        self.address, self.problem = address | {"uri": self.place.uri}, problem
        if complete:
            self.has_arrived.set()

    def wait_for_address(self) -> dict[str, str]:
        """Wait until all of the run is in MLflow, for `tracking.wait_seconds` at most.

        Returns its `run_id`, `experiment_id` and `uri`; an empty dict if not all of it is there.
        """
        wait([self])
        return self.address if self.has_arrived.is_set() else {}


def wait(runs: Sequence[Upload]) -> list[Upload]:
    """Wait until all of the runs is in MLflow; return those of which a part is missing.

    After `tracking.wait_seconds` of them the wait ends, or at Ctrl-C. On a terminal it is announced
    if it is not short.
    """
    began, stops = time.monotonic(), signals.count()
    seconds = max((run.wait_seconds for run in runs), default=0.0)
    announced = not sys.stderr.isatty()
    with signals.closing():
        while left := [run for run in runs if not run.has_arrived.is_set()]:
            waited = time.monotonic() - began
            if waited > seconds or signals.count() > stops:
                break
            if waited > ANNOUNCED and not announced:
                announced = True
                print(
                    f"  waiting for MLflow, up to {seconds:g} s (Ctrl-C ends it)", file=sys.stderr
                )
            left[0].has_arrived.wait(0.05)
    for run in left:
        run.wait_seconds = 0.0  # once is enough
    return left


def in_utf8(path: str) -> str:
    """Return a path as the process reads it, whatever the locale here; see `os.fsencode`."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")
