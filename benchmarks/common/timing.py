"""Interleaved timing: every repeat times each contestant once.

So what slows the machine for a while hits all alike, and medians and quartiles leave out what hit
only one. Each repeat has an order of its own, since it matters whose threads and data are on the
cores.

Thread pools stay awake for some milliseconds after their work, on the cores that the next
contestant needs. So there is a pause before each, and short epochs are repeated until what is
timed is long against waking up.
"""

import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

# Trains one epoch. Where a framework's own loop has a start-up that many epochs share, it returns
# the seconds of an epoch inside that loop; else None, and the call itself is timed.
Epoch = Callable[[], float | None]

PAUSE = 0.05  # seconds


@dataclass(frozen=True)
class Spread:
    """The median of repeats and their quartiles."""

    median: float
    low: float
    high: float

    def scaled(self, factor: float) -> dict[str, float]:
        return {name: value * factor for name, value in asdict(self).items()}


def spread(values: list[float]) -> Spread:
    """Quartiles by linear interpolation between the sorted values; of one value, the value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


@dataclass
class Timing:
    """The times of one contestant, whose `build` makes its `epoch`; what raises leaves `error`."""

    build: Callable[[], Epoch]
    first_s: float = math.nan  # building it and its first epoch
    seconds: list[float] = field(default_factory=list)  # of an epoch, one entry per repeat
    error: str = ""
    epoch: Epoch | None = None
    calls: int = 1  # epochs in a row that one repeat times

    def attempt(self, part: Callable[[], None]) -> None:
        """One contestant that breaks must not stop the others."""
        if self.error:
            return
        try:
            part()
        except Exception as error:
            lines = str(error).strip().splitlines()
            self.error = ": ".join([type(error).__name__, *lines[:1]])
            self.epoch = None  # lets go of its memory

    def start(self) -> None:
        """What the first epoch costs; an epoch after it that was timed inside is not part of it."""
        began = time.perf_counter()
        self.epoch = self.build()
        inner = self.epoch()
        self.first_s = time.perf_counter() - began - (inner or 0.0)

    def warm_up(self, least: float) -> None:
        """One more epoch, and from its time how many fill `least` seconds."""
        self.calls = max(1, math.ceil(least / max(self._timed(), 1e-9)))

    def repeat(self) -> None:
        time.sleep(PAUSE)
        self.seconds.append(sum(self._timed() for _ in range(self.calls)) / self.calls)

    def _timed(self) -> float:
        assert self.epoch is not None
        began = time.perf_counter()
        inner = self.epoch()
        return time.perf_counter() - began if inner is None else inner


def interleave(
    timings: dict[str, Timing],
    repeats: int,
    least: float,
    say: Callable[[str], None],
    get_ready: Callable[[], None] = lambda: None,
) -> None:
    """Start and warm up each, then time them in turn, `repeats` times.

    `say` is called with the name of the next, and `get_ready` before each. With `least` 0 the first
    epoch is all the warming up.
    """
    for name, timing in timings.items():
        say(f"{name}, first epoch")
        get_ready()
        timing.attempt(timing.start)
        if least:
            timing.attempt(partial(timing.warm_up, least))
    for done in range(repeats):
        say(f"repeat {done + 1} of {repeats}")
        for timing in random.Random(done).sample(list(timings.values()), len(timings)):
            get_ready()
            timing.attempt(timing.repeat)
