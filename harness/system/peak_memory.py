"""The most memory that a piece of work has taken, by the peak of its process.

A peak never falls, so it speaks of the work only where that has raised it. It also holds what was
resident before: what earlier work has left, or a notebook's own data. So it counts only if at least
half of it is new, and is then no more than twice what the work takes in a process of its own.

`getrusage` would not do: it also has the peak of the program that started this one.
"""

from dataclasses import dataclass
from pathlib import Path

STATUS = Path("/proc/self/status")  # of Linux; elsewhere nothing is measured
UNIT = 1024  # bytes of its `kB`


@dataclass(frozen=True)
class Resident:
    """Bytes of a process in memory, now and at most so far, without those that it starts."""

    now: int
    peak: int


def resident() -> Resident | None:
    """Return the memory of this process, or None where the system does not tell."""
    try:
        lines = (line.split() for line in STATUS.read_text("ascii").splitlines())
        found = {words[0]: int(words[1]) * UNIT for words in lines if words[-1:] == ["kB"]}
        return Resident(found["VmRSS:"], found["VmHWM:"])
    except (OSError, KeyError):
        return None


def peak_since(before: Resident | None) -> int | None:
    """Return the peak in bytes that work since `before` has made; None where it is not known."""
    after = resident()
    if before is None or after is None:
        return None
    return after.peak if after.peak > max(before.peak, 2 * before.now) else None
