"""Refuse values that cannot be trained on.

These are values that are not finite, labels that are no probabilities, and magnitudes beyond the
range of the precision.

An error names the split, the row in it (and in the task's samples), the step and the feature, all
counted from 0 as in `predictions.csv`. Without these checks, such a value would give a loss that is
not finite, which would be blamed on the learning rate, or it would pass unnoticed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.tasks import Task


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The origin of a split's values: the task, its method, and the rows of its samples."""

    task: Task
    method: str  # of the task: draw() or probes()
    split: str
    rows: Array  # (N,) indices into the samples that the method returned
    seeds: Sequence[int]

    def refuse(self, name: str, values: Array, wrong: Array, reason: str) -> NoReturn:
        """Raise `ConfigError` for the first of `values` that is `wrong`, both `(R, N, …, F)`.

        `name` is x or y.
        """
        replica, row, *step, column = index = tuple(int(i) for i in np.argwhere(wrong)[0])
        value = np.broadcast_to(values, wrong.shape)[index]  # probes have no replica axis
        places = [f"row {row} (sample {self.rows[row]} of {self.method})"]
        places += [f"step {t}" for t in step]
        places.append(f"{'feature' if name == 'x' else 'output'} {column}")
        places += [f"seed {self.seeds[replica]}"] if len(wrong) > 1 else []
        more = int(wrong.sum()) - 1
        others = f", and {more} more" if more else ""
        raise ConfigError(
            f"task={self.task.name}: {name} is {value:g} in the {self.split} split, "
            f"{', '.join(places)}{others}: {reason}"
        )

    def beyond(self, dtype: str) -> str:
        """Return the text `beyond the range of …; use …`, for an error.

        It suggests scaling only in float32, since scaled values could leave float64's range, too.
        """
        limits = np.finfo(dtype)
        remedies = ["other units"]
        if dtype == "float32":
            scaling = ["task.scale=standard"] if self.task.scale == "none" else []
            remedies = ["precision=float64", *scaling, *remedies]
        return (
            f"beyond the range of {dtype}, {limits.tiny:.1g} to {limits.max:.1g}; use "
            f"{' or '.join(remedies)}."
        )


def check_finite(origin: Origin, x: Array, y: Array | None) -> None:
    """Raise `ConfigError` for NaN or infinity in the inputs and, unless None, the targets."""
    for name, values in (("x", x), ("y", y)):
        if values is None or np.isfinite(values).all():
            continue
        known = "; targets are NaN only if all of them are, for none" if name == "y" else ""
        origin.refuse(name, values, ~np.isfinite(values), f"must be a finite number{known}.")


def check_labels(origin: Origin, y: Array) -> None:
    """Raise `ConfigError` for labels outside [0, 1]: cross-entropy would have no lower bound."""
    outside = (y < 0) | (y > 1)
    if outside.any():
        reason = "with loss=bce a label must be 0, 1, or a probability between."
        origin.refuse("y", y, outside, reason)


def check_moments(task: str, name: str, values: Array, mean: Array, std: Array) -> None:
    """Raise `ConfigError` for `values` `(R, N, …, F)` whose variance float64 cannot hold.

    They are so large, or so close to each other, that the variance is infinite or 0.
    """
    limits = np.finfo(np.float64)
    with np.errstate(over="ignore", under="ignore"):
        variance = np.square(std)
    wrong = ~(np.isfinite(mean) & (variance >= limits.tiny) & (variance <= limits.max))
    if wrong.any():
        column = int(np.argwhere(wrong)[0][-1])
        refused = values[..., column] if wrong.shape[-1] > 1 else values
        where = f"feature {column} of x" if name == "x" else "y"
        low, high = refused.min(), refused.max()
        raise ConfigError(
            f"task={task}: {where} goes from {low:g} to {high:g} in the train split, and "
            "float64 cannot hold the variance of that; use other units, or task.scale=none."
        )


def in_precision(origin: Origin, x: Array, scaled: Array, dtype: str) -> Array:
    """Return the inputs `scaled` `(R, N, T, F)` in `dtype`.

    Raises `ConfigError` for unscaled inputs `x` whose scaled values are beyond its range.
    """
    with np.errstate(over="ignore", under="ignore"):
        cast = scaled.astype(dtype)
    if not np.isfinite(cast).all():
        origin.refuse("x", x, ~np.isfinite(cast), f"it is {origin.beyond(dtype)}")
    if origin.split == "train":
        largest = np.abs(scaled).max(axis=(1, 2), keepdims=True)
        lost = (largest > 0) & (largest < np.finfo(dtype).tiny)  # of a whole feature
        if lost.any():
            origin.refuse("x", x, lost & (scaled != 0), f"it is {origin.beyond(dtype)}")
    return cast


def check_squares(origin: Origin, y: Array, scaled: Array, dtype: str) -> None:
    """Raise `ConfigError` for targets whose summed squares leave the range of `dtype`.

    A squared error would leave it, too. `scaled` are the targets that the network learns, `y` those
    in original units, which the error shows.
    """
    limits, axes = np.finfo(dtype), tuple(range(1, y.ndim))
    with np.errstate(over="ignore", under="ignore"):
        cost = np.square(scaled).sum(axis=axes, keepdims=True)
    size = np.abs(scaled)
    largest = size.max(axis=axes, keepdims=True)
    unfit = (largest > 0) & ~((cost >= limits.tiny) & (cost <= limits.max))
    if unfit.any():
        origin.refuse("y", y, unfit & (size == largest), f"its square is {origin.beyond(dtype)}")
