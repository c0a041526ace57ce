"""Forecast a series from a window of its past: `next_value` (horizon 1) and `multi_step`.

Sample i is the window that starts at position i of one series. Neighbouring windows share values,
so each sample carries its span, and the splits drop those that straddle a border.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError, check_choice, check_range
from harness.tasks.base import Bound, Samples, Task
from harness.tasks.lengths import Rng, bounds, last_values

# Huge settings give a series that is not finite, which `data_checks` refuses with its place.
QUIETLY = np.errstate(over="ignore", invalid="ignore", divide="ignore")


@dataclass(frozen=True, kw_only=True)
class Windows(Task):
    """Windows of `window` past values as inputs, the next `horizon` values as targets.

    With `lengths`, only the last L values of a window are inputs; its targets stay as they are.
    """

    series: str  # ramp, sine, ar, or noise: targets that have nothing to do with the inputs
    window: int
    horizon: int
    start: float  # ramp: first value
    step: float  # ramp: increment
    period: float  # sine: positions per turn
    ar_coefficient: float  # ar: s_t = coefficient · s_{t−1} + N(0, noise²)
    ar_noise: float
    probe: int  # windows that follow the series' end (ramp only), 0 for none

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("task.series", self.series, ("ramp", "noise", "sine", "ar"))
        check_range("task.window", self.window, 1)
        check_range("task.horizon", self.horizon, 1)
        check_range("task.ar_coefficient", self.ar_coefficient, -0.999, 0.999)
        check_range("task.ar_noise", self.ar_noise, 0.0)
        check_range("task.probe", self.probe, 0)
        check_range("task.start", self.start, -math.inf)
        check_range("task.step", self.step, -math.inf)
        if not 0 < self.period < math.inf:
            raise ConfigError(f"task.period={self.period:g}: must be above 0.")
        if self.probe and self.series != "ramp":
            raise ConfigError(
                f"task.probe={self.probe}: only series=ramp has a known continuation; use 0."
            )

    @property
    def length(self) -> int:
        """The number of time steps: `window`."""
        return self.window

    @QUIETLY
    def draw(self, rng: Rng) -> Samples:
        """Draw `x` `(N, window, 1)` and `y` `(N, horizon)`."""
        if self.series == "noise":
            x = rng.uniform(size=(self.samples, self.window))
            drawn = Samples(x[:, :, None], rng.uniform(size=(self.samples, self.horizon)))
        else:
            positions = self.samples + self.window + self.horizon - 1
            drawn = self._cut(self._values(rng, positions), 0)
        mask = self.real_steps(rng, self.window)
        return replace(drawn, x=last_values(drawn.x[:, :, 0], mask)[:, :, None], mask=mask)

    @QUIETLY
    def probes(self) -> Samples | None:
        """Return the windows whose targets all lie beyond the end of the series, or None.

        The first of these windows ends where the series ends.
        """
        if not self.probe:
            return None
        first = self.samples + self.horizon - 1
        return self._cut(self._ramp(first + self.probe + self.window + self.horizon - 1), first)

    def best_loss(self) -> Bound | None:
        """Return 0 for a deterministic series, else the variance that no model can explain.

        None for a sine of which only one value may be known.
        """
        shortest = bounds(self.lengths, self.window)[0] if self.lengths else self.window
        if self.series == "sine" and shortest < 2:
            return None  # one value of a sine does not say whether it rises or falls
        if self.series == "noise":
            return Bound(1 / 12, "1/12, the variance of U(0, 1): targets are unrelated to inputs")
        if self.series == "ar":
            powers = self.ar_coefficient ** (2.0 * np.arange(self.horizon))
            mean = float(self.ar_noise**2 * np.cumsum(powers).mean())
            return Bound(mean, "the variance of the noise that drives the series")
        return Bound(0.0, "the series is deterministic")

    def _values(self, rng: Rng, length: int) -> Array:
        if self.series == "ramp":
            return self._ramp(length)
        if self.series == "sine":
            phase = rng.uniform(0.0, 2 * np.pi)
            return np.sin(2 * np.pi * np.arange(length) / self.period + phase)
        return self._autoregression(rng.standard_normal(length))

    def _ramp(self, length: int) -> Array:
        return self.start + self.step * np.arange(length, dtype=float)

    def _autoregression(self, noise: Array) -> Array:
        """Return the series driven by `noise`, which starts in its stationary distribution."""
        values = self.ar_noise * noise
        values[0] /= np.sqrt(1 - self.ar_coefficient**2)
        for t in range(1, len(values)):
            values[t] += self.ar_coefficient * values[t - 1]
        return values

    def _cut(self, values: Array, first: int) -> Samples:
        """Return all windows from position `first` on: `(N, window, 1)` and `(N, horizon)`."""
        width = self.window + self.horizon
        rows = np.lib.stride_tricks.sliding_window_view(values, width)[first:]
        begin = np.arange(first, first + len(rows))
        span = np.stack([begin, begin + width - 1], axis=1)
        return Samples(
            rows[:, : self.window, None].copy(), rows[:, self.window :].copy(), span=span
        )
