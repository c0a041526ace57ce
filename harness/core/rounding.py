"""How far copies of a computation are apart that differ by rounding alone.

The gap is between two copies, not from a copy to the original, since two programs may both differ
from the original, and in opposite directions.
"""

import numpy as np

from harness.core.arrays import Array
from harness.core.difference import scales
from harness.core.model import Params

# Of 360 pairs of re-rounded references, one was farther apart than any two copies, by 5 %.
MARGIN = 2.0
MAX_BAND = 0.1  # above this relative gap, a band says nothing and counts as infinite


def widest_gap(copies: Array) -> Array:
    """Return `MARGIN` times the largest gap between two copies, which are along the first axis.

    It is 0 where all copies are equal, also if all are infinite or all are NaN.
    """
    low, high = copies.min(axis=0), copies.max(axis=0)
    with np.errstate(invalid="ignore"):
        gap = MARGIN * (high - low)
    return np.where((low == high) | np.isnan(copies).all(axis=0), 0.0, gap)


def share(gap: Array, scale: Array) -> Array:
    """Return `gap / scale`, infinite where that is not a number."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(gap == 0, 0.0, gap / scale)
    return np.where(np.isnan(ratio), np.inf, ratio)


def one_ulp(value: Array, rng: np.random.Generator, unchanged: int) -> Array:
    """Move each entry to a neighbouring number, except those of the first `unchanged` replicas.

    A zero stays: no program rounds it, and its sign would decide what depends on it.
    """
    towards = np.where(rng.random(value.shape) < 0.5, -np.inf, np.inf).astype(value.dtype)
    result = np.where(value == 0, value, np.nextafter(value, towards))
    result[:unchanged] = value[:unchanged]
    return result


def tensor_bands(stage: str, tensors: Params, precision: str, copies: int) -> Params:
    """Return the band of each tensor; its first axis is all replicas of one copy after another."""
    by_copy = {n: v.reshape(copies, -1, *v.shape[1:]) for n, v in tensors.items() if len(v) > 1}
    sizes = scales(stage, {name: value[0] for name, value in by_copy.items()}, precision)
    return {name: share(widest_gap(v), sizes[name]).max() for name, v in by_copy.items()}
