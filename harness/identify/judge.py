"""Judge losses by the rounding band: how far rounding alone may lead a candidate's own training.

The band is the control band of `harness/parity`, and what the recording says of its losses' errors
is added. No fixed tolerance decides, but `ROUNDING` units in the last place of a loss are always
within the band.
"""

from dataclasses import dataclass, replace

import numpy as np

from backends.numpy_backend import NumpyBackend
from harness.core.arrays import Array
from harness.core.difference import ROUNDING
from harness.core.random_streams import stream
from harness.core.rounding import MAX_BAND, widest_gap
from harness.identify.candidates import Rules
from harness.identify.case import Case
from harness.identify.replay import problem_of
from harness.parity.control_band import control_band

LEAST = 2  # steps that must be judged: the first loss comes before any update
COPIES = 16  # of a training with other rates
WORST = 1e20  # the ratio of a loss that is not finite


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One candidate's losses against the recorded ones, as multiples of the band."""

    ratios: Array  # (S,) 0 where rounding alone leads too far to judge

    @property
    def largest(self) -> float:
        """The largest gap, as a multiple of the band."""
        return float(self.ratios.max())

    @property
    def fits(self) -> bool:
        """Whether every loss that is judged is inside the band."""
        return self.largest <= 1

    @property
    def parts_at(self) -> int:
        """The first step, from 1, whose loss is outside the band."""
        return int(np.argmax(self.ratios > 1)) + 1

    @property
    def distance(self) -> float:
        """The steps from the first loss outside the band on, and that gap's order of magnitude.

        It is 0 inside the band. A later step says less: there even small mistakes have grown.
        """
        if self.largest <= 1:
            return 0.0
        outside = self.parts_at - 1
        size = np.log10(self.ratios[outside]) / np.log10(WORST)  # from 0 to 1
        return float(len(self.ratios) - outside - 1 + size)


def bands(case: Case, rules: Rules, steps: int) -> Array:
    """Return the band of each loss `(S,)`, in its own unit; infinite where rounding leads too far.

    It is that of the training that `rules` describe.
    """
    with np.errstate(all="ignore"):
        band = control_band(problem_of(case, [rules], steps))[:, 0]
    least = ROUNDING * float(np.finfo(case.precision).eps)
    sizes = np.abs(case.losses[:steps])
    return np.maximum(band, least) * sizes + case.errors[:steps] + _by_rates(case, rules, steps)


def _by_rates(case: Case, rules: Rules, steps: int) -> Array:
    """Return how far losses `(S,)` may be off where Keras rounded a schedule's rates to float32."""
    if not case.rounded or (case.lr == case.lr[0]).all():
        return np.zeros(steps)
    problem = problem_of(case, [rules] * COPIES, steps)
    signs = stream(0, "rounded rates").choice([-1.0, 1.0], problem.lr.shape)
    problem = replace(problem, lr=problem.lr * (1 + signs * float(np.finfo(np.float32).eps)))
    return widest_gap(problem.train(problem.build(NumpyBackend), 0, steps).T)


def judged(case: Case, losses: Array, bands: Array) -> Judged:
    """Judge a candidate's losses `(S,)` by `bands`."""
    return Judged(ratios=np.where(np.isfinite(bands), _ratios(case, losses, bands), 0.0))


def approached(case: Case, losses: Array, bands: Array) -> Judged:
    """As `judged`, for a search: steps that cannot be judged still count, by the widest band."""
    widest = np.where(np.isfinite(bands), bands, MAX_BAND * np.abs(case.losses[: len(bands)]))
    return Judged(ratios=_ratios(case, losses, widest))


def count_judged(bands: Array) -> int:
    """Return the number of steps before rounding leads too far."""
    return int(np.isfinite(bands).sum())


def _ratios(case: Case, losses: Array, bands: Array) -> Array:
    gaps = np.abs(losses - case.losses[: len(losses)])
    with np.errstate(all="ignore"):
        ratios = np.where(gaps == 0, 0.0, gaps / bands)
    return np.minimum(np.nan_to_num(ratios, nan=WORST, posinf=WORST), WORST)
