"""Make a backend's data from a task's samples: splits, scaling, replicas, precision.

Splits are cut in order, training first, so a forecast is always tested on its future. Samples that
share values with an earlier split (windows of one series) are dropped. The scaler is fitted on the
training split only; targets stay in original units, and predictions are scaled back to them.
Padding is 0 in inputs and targets, before and after scaling, and enters no mean or variance.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends import Data
from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.core.losses import gives_logits
from harness.tasks import Samples, Task
from harness.tasks.checks import check_alike, check_probes, checked, without_targets
from harness.tasks.lengths import last_step, pad
from harness.training.data_checks import (
    Origin,
    check_finite,
    check_labels,
    check_moments,
    check_squares,
    in_precision,
)

NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """One split: scaled inputs `x` `(R, N, T, F)` and targets `y` in original units, float64.

    `y` is `(R, N, O)`, or `(R, N, T, O)` with targets at every step. `mask` `(R, N, T)` is True at
    real steps; None means that every step is real.
    """

    x: Array
    y: Array
    mask: Array | None = None

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name; without a mask there is none of that name."""
        arrays = {"x": self.x, "y": self.y}
        return arrays if self.mask is None else arrays | {"mask": self.mask}

    @property
    def counted(self) -> Array | None:
        """The mask of the targets: `mask` if there is a target at every step, else None."""
        return self.mask if self.y.ndim == 4 else None

    @property
    def has_targets(self) -> bool:
        """Whether every target is known; none of them is NaN."""
        return not np.isnan(self.y).any()


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The scale of each replica: value = mean + std · scaled.

    Inputs have a scale per feature. Targets share one over all their components, so that an MSE in
    scaled units times std² is one in original units.
    """

    x_mean: Array  # (R, 1, 1, F)
    x_std: Array
    y_mean: Array  # (R,)
    y_std: Array

    def of_targets(self, y: Array) -> Array:
        """Return the targets `(R, N, …)` in scaled units, as the network learns them."""
        shape = (-1,) + (1,) * (y.ndim - 1)
        return (y - self.y_mean.reshape(shape)) / self.y_std.reshape(shape)

    def to_original(self, outputs: Array) -> Array:
        """Return raw outputs `(R, N, …)` in the targets' units, float64."""
        shape = (-1,) + (1,) * (outputs.ndim - 1)
        return outputs.astype(np.float64) * self.y_std.reshape(shape) + self.y_mean.reshape(shape)


@dataclass(frozen=True)
class Splits:
    """All splits of a run: `parts` has train and, where they exist, val, test and probe."""

    parts: dict[str, Split]
    scale: Scale
    dtype: str

    @property
    def train(self) -> Split:
        """The training split."""
        return self.parts["train"]

    @property
    def hard_labels(self) -> bool:
        """Whether every target is 0 or 1, as an accuracy needs it."""
        targets = [split.y for split in self.parts.values() if split.has_targets]
        return all(bool(((y == 0) | (y == 1)).all()) for y in targets)

    def training_data(self) -> Data:
        """Return the training split for a backend, with scaled targets."""
        y = self.scale.of_targets(self.train.y)
        return Data(self.train.x, y.astype(self.dtype), self.train.mask)

    def digest(self) -> str:
        """Return the SHA-256 of every split's inputs, targets and mask, cut to 32 characters."""
        state = hashlib.sha256()
        for name, split in self.parts.items():
            for array in split.arrays().values():
                state.update(f"{name}{array.shape}{array.dtype}".encode())
                state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()[:32]


def make_splits(task: Task, seeds: list[int], dtype: str, last_target: bool = False) -> Splits:
    """Draw, split, scale and stack the data of all replicas.

    Data that no seed changes has a replica axis of length 1. Of targets at every step,
    `last_target` keeps that of each sample's last real step: many to one. Raises `ConfigError` if a
    split that was asked for is empty, or if the data cannot be trained on.
    """
    drawn = [checked(task, "draw()", task.generate(seed)) for seed in seeds]
    check_alike(task, seeds, drawn)
    asked = task.probes()
    probes = [] if asked is None else [checked(task, "probes()", asked)]
    for samples in probes:
        check_probes(task, drawn[0], samples)
    if last_target and task.every_step:
        drawn, probes = ([_last_target(s) for s in given] for given in (drawn, probes))
    cut = _cut(task, "draw()", drawn, split_rows(task, drawn[0].span), seeds)
    for samples in probes:
        cut |= _cut(task, "probes()", [samples], {"probe": np.arange(len(samples.x))}, seeds)
    scale = _fit(task, cut["train"][1])
    parts = {n: _scaled(task, origin, part, scale, dtype) for n, (origin, part) in cut.items()}
    return Splits(parts, scale, dtype)


def _last_target(samples: Samples) -> Samples:
    """Keep the targets of each sample's last real step: `(N, T, O)` -> `(N, O)`."""
    if samples.mask is None:
        return replace(samples, y=samples.y[:, -1])
    return replace(samples, y=samples.y[np.arange(len(samples.y)), last_step(samples.mask)])


def _cut(
    task: Task, method: str, given: list[Samples], rows: dict[str, Array], seeds: list[int]
) -> dict[str, tuple[Origin, Split]]:
    """Return the splits that are not empty, stacked but not scaled yet, and their origins."""
    has_targets = not all(without_targets(samples) for samples in given)
    parts: dict[str, tuple[Origin, Split]] = {}
    for name, index in rows.items():
        if not len(index):
            continue
        part = _stack(given, index)
        origin = Origin(task=task, method=method, split=name, rows=index, seeds=seeds)
        check_finite(origin, part.x, part.y if has_targets else None)
        if has_targets and gives_logits(task.loss):
            check_labels(origin, part.y)
        parts[name] = (origin, part)
    return parts


def _scaled(task: Task, origin: Origin, part: Split, scale: Scale, dtype: str) -> Split:
    """Return the split with scaled inputs in `dtype`; raise `ConfigError` for unfit values."""
    if part.has_targets and not gives_logits(task.loss):
        check_squares(origin, part.y, part.y, "float64")
        if origin.split == "train":
            check_squares(origin, part.y, scale.of_targets(part.y), dtype)
    with np.errstate(over="ignore", under="ignore"):  # values beyond the range are refused below
        x = pad((part.x - scale.x_mean) / scale.x_std, part.mask)
    return replace(part, x=in_precision(origin, part.x, x, dtype))


def split_rows(task: Task, span: Array | None) -> dict[str, Array]:
    """Return the indices of the samples of train, val and test; each occurs once at most."""
    n_val = round(task.samples * task.val_fraction)
    n_test = round(task.samples * task.test_fraction)
    borders = np.cumsum([0, task.samples - n_val - n_test, n_val, n_test])
    rows: dict[str, Array] = {
        n: np.arange(a, b) for n, a, b in zip(NAMES, borders, borders[1:], strict=False)
    }
    if span is not None:
        for earlier, later in (("train", "val"), ("train", "test"), ("val", "test")):
            if len(rows[earlier]):
                free = span[rows[later], 0] > span[rows[earlier], 1].max()
                rows[later] = rows[later][free]
    asked = {"train": 1.0, "val": task.val_fraction, "test": task.test_fraction}
    for name, fraction in asked.items():
        if fraction and not len(rows[name]):
            shared = "" if span is None else f" (windows share {span[0, 1] - span[0, 0]} values)"
            raise ConfigError(
                f"task.samples={task.samples}: leaves the {name} split empty{shared}; raise it"
                + ("." if name == "train" else f", or set task.{name}_fraction=0.")
            )
    return rows


def _stack(drawn: list[Samples], rows: Array) -> Split:
    """Stack the same rows of every replica, not scaled yet.

    If only some replicas have a mask, all steps of the others are real.
    """
    x, y = np.stack([s.x[rows] for s in drawn]), np.stack([s.y[rows] for s in drawn])
    masks = [np.ones(s.x.shape[:2], bool) if s.mask is None else s.mask for s in drawn]
    masked = any(s.mask is not None for s in drawn)
    mask = np.stack([m[rows] for m in masks]) if masked else None
    arrays = Split(x, y, mask).arrays().values()
    if all(np.array_equal(a, np.broadcast_to(a[:1], a.shape), True) for a in arrays):
        return Split(x[:1], y[:1], None if mask is None else mask[:1])
    return Split(x, y, mask)


def _fit(task: Task, train: Split) -> Scale:
    """Return the scale by the training split's moments; a constant feature has a std of 1."""
    x, y = train.x, train.y
    no_shift, no_scale = np.zeros(len(y)), np.ones(len(y))
    if task.scale == "none":
        shape = (len(x), 1, 1, x.shape[-1])
        return Scale(x_mean=np.zeros(shape), x_std=np.ones(shape), y_mean=no_shift, y_std=no_scale)
    x_mean, x_std = _moments(task, "x", x, (1, 2), train.mask)
    if gives_logits(task.loss) or not train.has_targets:
        return Scale(x_mean=x_mean, x_std=x_std, y_mean=no_shift, y_std=no_scale)
    y_mean, y_std = _moments(task, "y", y, tuple(range(1, y.ndim)), train.counted)
    return Scale(x_mean=x_mean, x_std=x_std, y_mean=y_mean.reshape(-1), y_std=y_std.reshape(-1))


def _moments(
    task: Task, name: str, values: Array, axes: tuple[int, ...], mask: Array | None
) -> tuple[Array, Array]:
    """Return the mean and standard deviation of `(R, N, T, …)` over `axes`, at real steps.

    A constant has exactly its value as mean and 1 as deviation, where rounding would give it a tiny
    one. Raises `ConfigError` for a variance that float64 cannot hold.
    """
    over: Any = {"axis": axes, "keepdims": True, "where": True if mask is None else mask[..., None]}
    low, high = values.min(**over, initial=np.inf), values.max(**over, initial=-np.inf)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # refused below
        mean: Array = values.mean(**over)
        std: Array = values.std(**over)
    mean, std = np.where(low == high, low, mean), np.where(low == high, 1.0, std)
    check_moments(task.name, name, values, mean, std)
    return mean, std
