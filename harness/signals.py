"""Ctrl-C and SIGTERM end a run as KILLED, once, and never between a remote act and its record."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Killed(KeyboardInterrupt):
    """The process was asked to stop. `code` is the exit code that shells expect for the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def install() -> None:
    """Turn both signals into `Killed`; whoever closes the run is then left alone to finish, since
    launchers often send the signal twice (once to the process, once to its group)."""
    for number in SIGNALS:
        signal.signal(number, _stop)


def _stop(number: int, frame: Any) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Killed(number)


@contextmanager
def deferred() -> Iterator[None]:
    """Hold the signals back for the few milliseconds in which they would leave a run unowned."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
