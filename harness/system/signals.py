r"""Turn the signals that ask a process to stop into one `Killed`, which ends a run as KILLED.

The signals are Ctrl-C, SIGTERM, Ctrl-\ (SIGQUIT), and SIGHUP, which a closed terminal sends. None
of them interrupts the moment between a remote act and its record (`deferred`).

Python may lose an exception that a signal raises while a destructor runs. So a stop is also
remembered, the trainer asks for it after each epoch (`raise_if_stopped`), and the signal can be
sent again.
"""

import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

# Windows has no SIGHUP and no SIGQUIT, but SIGBREAK (Ctrl-Break).
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
# A terminal sends these to a whole process group.
TERMINALS = tuple(number for number in SIGNALS if number != signal.SIGTERM)
CAN_BLOCK = hasattr(signal, "pthread_sigmask")  # not on Windows
# Seconds within which a second signal counts as a repetition of the first: launchers often send it
# twice, to the process and to its group.
REPEATED = 1.0

_requested: list[tuple[int, float]] = []  # the stops so far, without repetitions: signal and time
_arrivals: list[float] = []  # of all stops without repetitions, also while a record was closed
_closing: list[bool] = []  # not empty while a record is being closed
_held: list[bool] = []  # not empty while a stop is held back


class Killed(KeyboardInterrupt):
    """A request to stop the process. `code` is the exit code that shells expect for the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def install() -> None:
    """Raise `Killed` when one of the signals arrives.

    A SIGHUP that is ignored already stays so: `nohup` ignores it for a run that is to outlive its
    terminal.
    """
    _requested.clear()
    for number in SIGNALS:
        hangup = number == getattr(signal, "SIGHUP", None)
        if not (hangup and signal.getsignal(number) == signal.SIG_IGN):
            signal.signal(number, _stop)


def ignore(numbers: Collection[signal.Signals] = SIGNALS) -> None:
    """Ignore these signals, in a process that is ended by the one that it works for."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
    if CAN_BLOCK:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@contextmanager
def blocked_in_children() -> Iterator[None]:
    """Let processes that the block starts, and its threads, not be stopped before they `ignore`.

    A Python process that is only starting would print a traceback at Ctrl-C.
    """
    if not CAN_BLOCK:
        yield
        return
    resource_tracker.ensure_running()  # which unblocks SIGINT here as it begins
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_command(main: Callable[[], int]) -> int:
    """Run the main function of a command that keeps no checkpoint, and return its exit code.

    If a signal stops the command, one line says so, and the exit code is that of the signal.
    """
    install()
    try:
        return main()
    except BaseException as error:
        stop = requested_stop() or (error if isinstance(error, KeyboardInterrupt) else None)
        if stop is None:
            raise
        say_stopped(str(stop))
        return getattr(stop, "code", 130)


def say_stopped(how: str) -> None:
    """Print on standard error that the process was stopped by `how`."""
    with suppress(OSError):  # of a closed terminal
        print(f"\nStopped by {how}", file=sys.stderr, flush=True)


def requested_stop() -> Killed | None:
    """Return the first stop that was requested, or None.

    Interrupted code may raise another exception in place of `Killed`, so this is asked as well.
    """
    return Killed(_requested[0][0]) if _requested else None


def count() -> int:
    """Return how many stops have arrived without repetitions, for a wait that any of them ends."""
    return len(_arrivals)


def raise_if_stopped() -> None:
    """Raise `Killed` if a stop was requested and its exception got lost."""
    stop = requested_stop()
    if stop is not None:
        raise stop


def _stop(number: int, _frame: Any) -> None:
    now = time.monotonic()
    if not _arrivals or now - _arrivals[-1] >= REPEATED:
        _arrivals.append(now)
    if _closing or (_requested and now - _requested[-1][1] < REPEATED):
        return
    _requested.append((number, now))
    if not _held:
        raise Killed(number)


@contextmanager
def closing() -> Iterator[None]:
    """Ignore stops while the block closes a run."""
    _closing.append(True)
    try:
        yield
    finally:
        _closing.pop()


@contextmanager
def deferred() -> Iterator[None]:
    """Hold a stop back until the block ends, as between a remote act and its record.

    Blocking the signals would not do: a thread of a numeric library may receive them in place of
    the main thread.
    """
    before = len(_requested)
    _held.append(True)
    try:
        yield
    finally:
        _held.pop()
    if len(_requested) > before and not (_held or _closing):
        raise Killed(_requested[-1][0])
