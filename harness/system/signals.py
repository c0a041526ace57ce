"""A signal that asks a process to stop ends its run as KILLED, once, and never between a remote act
and its record: Ctrl-C, SIGTERM, Ctrl-\\ (SIGQUIT), and SIGHUP, when the terminal is closed.

Python may lose an exception that a signal raises while a destructor runs. So a stop is also
remembered, the trainer asks for it after each epoch (`check`), and the signal can be sent again.
"""

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Those of this system: Windows has no SIGHUP and no SIGQUIT, but Ctrl-Break.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
TERMINALS = tuple(number for number in SIGNALS if number != signal.SIGTERM)  # to a whole group
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
    """Turn the signals into `Killed`, but for a SIGHUP that is ignored already: `nohup` does so for
    a run that shall outlive its terminal."""
    _asked.clear()
    for number in SIGNALS:
        hangup = number == getattr(signal, "SIGHUP", None)
        if not (hangup and signal.getsignal(number) == signal.SIG_IGN):
            signal.signal(number, _stop)


def ignore(numbers: Iterable[signal.Signals] = SIGNALS) -> None:
    """Leave the stopping of this process to the one that it works for."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


def ending(command: Callable[[], int]) -> int:
    """Run the main function of a command that keeps no checkpoint; its exit code, or that of the
    signal that stopped it, after one line."""
    install()
    try:
        return command()
    except BaseException as error:
        stop = asked() or (error if isinstance(error, KeyboardInterrupt) else None)
        if stop is None:
            raise
        say_stopped(str(stop))
        return getattr(stop, "code", 130)


def say_stopped(how: str) -> None:
    """Say so on standard error, which a closed terminal does not take."""
    with suppress(OSError):
        print(f"\nStopped by {how}", file=sys.stderr, flush=True)


def asked() -> Killed | None:
    """The stop that was asked for, if one was. What it interrupts may raise something else in the
    stop's stead."""
    return Killed(_asked[0][0]) if _asked else None


def check() -> None:
    """Raise `Killed` if a stop was asked for and its exception got lost."""
    stop = asked()
    if stop is not None:
        raise stop


def _stop(number: int, _frame: Any) -> None:
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
