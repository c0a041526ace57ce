"""Ctrl-C and SIGTERM end a run as KILLED, once, and never between a remote act and its record.

Python may lose an exception that a signal raises while a destructor runs. So a stop is also
remembered, the trainer asks for it after each epoch (`check`), and the signal can be sent again.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
REPEATED = 1.0  # seconds within which a second signal is the first one's echo: launchers often
# send it twice, to the process and to its group

_asked: list[tuple[int, float]] = []  # the stops so far, without echoes: signal and time
_closing: list[bool] = []  # not empty while a record is being closed
_held: list[bool] = []  # not empty while a stop has to wait a moment


class Killed(KeyboardInterrupt):
    """The process was asked to stop. `code` is the exit code that shells expect for the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def install() -> None:
    """Turn both signals into `Killed`."""
    _asked.clear()
    for number in SIGNALS:
        signal.signal(number, _stop)


def check() -> None:
    """Raise `Killed` if a stop was asked for and its exception got lost."""
    if _asked:
        raise Killed(_asked[0][0])


def _stop(number: int, frame: Any) -> None:
    now = time.monotonic()
    if _closing or (_asked and now - _asked[-1][1] < REPEATED):
        return
    _asked.append((number, now))
    if not _held:
        raise Killed(number)


@contextmanager
def closing() -> Iterator[None]:
    """Whoever closes a run is left alone to finish."""
    _closing.append(True)
    try:
        yield
    finally:
        _closing.pop()


@contextmanager
def deferred() -> Iterator[None]:
    """Hold a stop back for the moment in which it would leave a run unowned. Blocking the signals
    would not do: any thread of a numeric library may receive them in the main thread's stead."""
    before = len(_asked)
    _held.append(True)
    try:
        yield
    finally:
        _held.pop()
    if len(_asked) > before and not (_held or _closing):
        raise Killed(_asked[-1][0])
