"""The load of the machine while runs train, under MLflow's own names for its page of it.

A thread samples every `SECONDS`, for the first time that long after a run's start: shorter runs
have none. A process that is forked has no such thread; it begins anew with its own first run.
"""

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import psutil

from harness.tracking.journal_writer import append

SECONDS = 5.0
LONGEST_SLEEP = 1.0  # seconds

_lock = threading.Lock()
_running = False  # whether this process has the thread


@dataclass(kw_only=True)
class _Run:
    directory: Path
    due: float
    step: int = 0


_runs: WeakKeyDictionary[object, _Run] = WeakKeyDictionary()  # by whatever records them


def watch(record: object, directory: Path) -> None:
    """Write samples to the journal in `directory`, until `unwatch` or nothing refers to `record`.

    Each is an event `system` with a step, counted from 0.
    """
    global _running
    with _lock:
        _runs[record] = _Run(directory=directory.absolute(), due=time.monotonic() + SECONDS)
        if not _running:
            _running = True
            threading.Thread(target=_work, name="system-metrics", daemon=True).start()


def unwatch(record: object) -> None:
    """Write no more samples: when this returns, the journal may be ended."""
    with _lock:
        _runs.pop(record, None)


def _work() -> None:
    psutil.cpu_percent()  # each call gives the mean since the one before in the same thread
    while True:
        time.sleep(min(LONGEST_SLEEP, SECONDS))
        with _lock:
            now = time.monotonic()
            due = [run for _, run in _runs.items() if run.due <= now]
            values = _sample() if due else {}
            for run in due:
                with suppress(OSError):  # whoever records the run meets it, too, and tells it
                    append(run.directory, "system", step=run.step, values=values)
                run.step, run.due = run.step + 1, now + SECONDS


def _sample() -> dict[str, float]:
    memory = psutil.virtual_memory()
    return {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_megabytes": memory.used / 1e6,
        "system/system_memory_usage_percentage": memory.percent,
    }


def _forget() -> None:
    """Begin anew in a process that was forked: the thread and the runs are its parent's."""
    global _lock, _runs, _running
    _lock, _running, _runs = threading.Lock(), False, WeakKeyDictionary[object, _Run]()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_forget)
