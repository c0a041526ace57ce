"""Sequences of unequal length, and the mask of their real time steps.

`task.lengths=min:max` draws the length of each sample. Padding follows the real steps, and a mask
`(N, T)`, bool, is True at these. Lengths are drawn after all else, so they change no other number.
"""

import logging
import re

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError

Rng = np.random.Generator | np.random.RandomState

log = logging.getLogger(__name__)


def bounds(lengths: str, longest: int | None) -> tuple[int, int]:
    """Return the bounds in `lengths`: `"3:10"` as `(3, 10)`.

    `longest` is the task's number of time steps, or None if it is not known. YAML 1.1 reads an
    unquoted 3:10 as 3·60 + 10, so a single number is split again. Raises `ConfigError`.
    """
    match = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", lengths)
    if match:
        low, high = int(match[1]), int(match[2])
    else:
        low, high = divmod(int(lengths), 60) if re.fullmatch("[0-9]{1,9}", lengths) else (0, 0)
    if not 1 <= low <= high or high > (high if longest is None else longest):
        limit = "" if longest is None else f" <= {longest}, the task's length"
        example = "1:1" if longest == 1 else f"{min(3, longest or 3)}:{longest or 10}"
        raise ConfigError(
            f"task.lengths={lengths}: must be min:max, such as {example}, in whole numbers with "
            f"1 <= min <= max{limit}; or null."
        )
    if not match:
        log.warning(
            f"task.lengths={lengths}: taken as '{low}:{high}', which YAML reads as that number "
            "where it has no quotes."
        )
    return low, high


def draw_mask(rng: Rng, low: int, high: int, samples: int, steps: int) -> Array:
    """Draw a mask `(samples, steps)` with lengths uniform on low…high, both inclusive."""
    length = low + np.floor(rng.uniform(size=samples) * (high - low + 1))
    return np.arange(steps) < length[:, None]


def pad(values: Array, mask: Array | None) -> Array:
    """Return `values` `(…, T)` or `(…, T, F)` with zeros at padding."""
    if mask is None:
        return values
    return np.where(mask if values.ndim == mask.ndim else mask[..., None], values, 0.0)


def last_values(values: Array, mask: Array | None) -> Array:
    """Return the last L values of each row `(N, T)`, L its number of real steps, then zeros."""
    if mask is None:
        return values
    steps: int = mask.shape[1]
    real_steps: Array = mask.sum(axis=1)
    shifted = np.arange(steps) + steps - real_steps[:, None]
    return pad(np.take_along_axis(values, np.minimum(shifted, steps - 1), axis=1), mask)


def last_step(mask: Array) -> Array:
    """Return the index of the last real step: `(…, T)` -> `(…)`."""
    return mask.shape[-1] - 1 - mask[..., ::-1].argmax(axis=-1)
