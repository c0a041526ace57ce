"""Interleaved timing: every repeat times each contestant once, in a random order.

So a slower phase of the machine affects all alike, and medians and quartiles leave out disturbances
of a single measurement. The order is random since it matters whose threads and data were on the
cores before.

Thread pools stay awake for some milliseconds after their work, on the cores that the next
contestant needs. So there is a pause before each, and short epochs are repeated until the timed
interval is long against waking the threads.
"""

import math
import random
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

# Trains one epoch. Where a framework's own loop has a start-up that many epochs share, it returns
# the seconds of an epoch inside that loop; else it returns None, and the call is timed.
Epoch = Callable[[], float | None]

PAUSE = 0.05  # seconds


@dataclass(frozen=True)
class Spread:
    """The median and quartiles of repeats."""

    median: float
    low: float
    high: float

    def scaled(self, factor: float) -> dict[str, float]:
        """Return median and quartiles, multiplied by `factor`, for JSON."""
        return {name: value * factor for name, value in asdict(self).items()}


def spread(values: list[float]) -> Spread:
    """Return median and quartiles, interpolated linearly between the sorted values."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


@dataclass
class Timing:
    """The times of one contestant: `build` returns its `epoch`; an exception is kept in `error`."""

    build: Callable[[], Epoch]
    first_s: float = math.nan  # seconds of building and of the first epoch
    seconds: list[float] = field(default_factory=list)  # per epoch, one entry per repeat
    error: str = ""
    epoch: Epoch | None = None
    calls: int = 1  # epochs in a row that one repeat times

    def attempt(self, part: Callable[[], None]) -> None:
        """Call `part`; keep its exception in `error`, so that the other contestants go on."""
        if self.error:
            return
        try:
            part()
        except Exception as error:
            lines = str(error).strip().splitlines()
            self.error = ": ".join([type(error).__name__, *lines[:1]])
            self.epoch = None  # frees its memory

    def start(self) -> None:
        """Build and train the first epoch; time both, without an epoch that is timed inside."""
        began = time.perf_counter()
        self.epoch = self.build()
        inner = self.epoch()
        self.first_s = time.perf_counter() - began - (inner or 0.0)

    def warm_up(self, least: float) -> None:
        """Train one more epoch; from its time, choose how many epochs last `least` seconds."""
        self.calls = max(1, math.ceil(least / max(self._timed(), 1e-9)))

    def repeat(self) -> None:
        """Pause, then time one repeat."""
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
    """Start and warm up each contestant, then time them in turn, `repeats` times.

    `say` is called with a description of each part, `get_ready` before each contestant. With
    `least` 0, the first epoch is the only warm-up.
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
