"""Sequences of unequal length: which time steps of a sample are real, the rest being padding.

`task.lengths=min:max` draws each sample's length; padding stands behind it, and a mask `(N, T)`,
bool, is True at real steps. Lengths are drawn after all else, so they change no other number.
"""

import logging
import re

import numpy as np

from harness.core.errors import ConfigError

Array = np.ndarray
Rng = np.random.Generator | np.random.RandomState

log = logging.getLogger(__name__)


def bounds(lengths: str, longest: int | None) -> tuple[int, int]:
    """`"3:10"` as `(3, 10)`; `longest` is the task's number of time steps, where it is known.

    YAML 1.1 reads an unquoted 3:10 as 3·60 + 10, so a number alone is taken apart again. Raises
    `ConfigError`.
    """
    found = re.fullmatch(r"([0-9]{1,9}):([0-9]{1,9})", lengths)
    if found:
        low, high = int(found[1]), int(found[2])
    else:
        low, high = divmod(int(lengths), 60) if re.fullmatch("[0-9]{1,9}", lengths) else (0, 0)
    if not 1 <= low <= high or high > (high if longest is None else longest):
        limit = "" if longest is None else f" <= {longest}, the task's length"
        example = "1:1" if longest == 1 else f"{min(3, longest or 3)}:{longest or 10}"
        raise ConfigError(
            f"task.lengths={lengths}: must be min:max, such as {example}, in whole numbers with "
            f"1 <= min <= max{limit}; or null."
        )
    if not found:
        log.warning(
            f"task.lengths={lengths}: taken as '{low}:{high}', which YAML reads as that number "
            "where it has no quotes."
        )
    return low, high


def draw_mask(rng: Rng, low: int, high: int, samples: int, steps: int) -> Array:
    """`(samples, steps)`, with lengths that are uniform on low…high, both inclusive."""
    length = low + np.floor(rng.uniform(size=samples) * (high - low + 1))
    return np.arange(steps) < length[:, None]


def pad(values: Array, mask: Array | None) -> Array:
    """`(…, T)` or `(…, T, F)` with zeros at padding."""
    if mask is None:
        return values
    return np.where(mask if values.ndim == mask.ndim else mask[..., None], values, 0.0)


def last_values(values: Array, mask: Array | None) -> Array:
    """The last L values of each row `(N, T)`, L its number of real steps, with zeros behind."""
    if mask is None:
        return values
    steps = mask.shape[1]
    shifted = np.arange(steps) + steps - mask.sum(axis=1)[:, None]
    return pad(np.take_along_axis(values, np.minimum(shifted, steps - 1), axis=1), mask)


def last_step(mask: Array) -> Array:
    """The index of the last real step: `(…, T)` -> `(…)`."""
    return mask.shape[-1] - 1 - mask[..., ::-1].argmax(axis=-1)
