"""From a task's samples to what a backend trains on: splits, scaling, replicas, precision.

Splits are cut in order, training first, so a forecast is always tested on its future. Of samples
that share values with an earlier split (windows of one series) none is kept. The scaler sees the
training split only; targets are kept in original units, and predictions are brought back to them.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from backends import Data
from harness.errors import ConfigError
from harness.tasks import Array, Samples, Task

NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Split:
    """`x` `(R, N, T, F)` as the network sees it, `y` in original units, float64."""

    x: Array
    y: Array

    @property
    def has_targets(self) -> bool:
        return not np.isnan(self.y).any()


@dataclass(frozen=True)
class Scale:
    """value = mean + std · scaled, one of each per replica, `(R,)`; targets share one scale over
    all their components, so that an MSE in scaled units times std² is one in original units."""

    x_mean: Array  # (R, 1, 1, F)
    x_std: Array
    y_mean: Array  # (R,)
    y_std: Array

    def to_original(self, outputs: Array) -> Array:
        """Raw outputs `(R, N, …)` in the targets' units, float64."""
        wide = (-1,) + (1,) * (outputs.ndim - 1)
        return outputs.astype(np.float64) * self.y_std.reshape(wide) + self.y_mean.reshape(wide)


@dataclass(frozen=True)
class Splits:
    """Everything drawn for a run. `parts` has train and, where they exist, val, test, probe."""

    parts: dict[str, Split]
    scale: Scale
    dtype: str

    @property
    def train(self) -> Split:
        return self.parts["train"]

    def training_data(self) -> Data:
        """The training split as the backend gets it, targets scaled."""
        wide = (-1,) + (1,) * (self.train.y.ndim - 1)
        y = (self.train.y - self.scale.y_mean.reshape(wide)) / self.scale.y_std.reshape(wide)
        return Data(self.train.x, y.astype(self.dtype))

    def digest(self) -> str:
        """SHA-256 over every split's inputs and targets, cut to 32 characters."""
        state = hashlib.sha256()
        for name, part in self.parts.items():
            for array in (part.x, part.y):
                state.update(f"{name}{array.shape}{array.dtype}".encode())
                state.update(np.ascontiguousarray(array).tobytes())
        return state.hexdigest()[:32]


def make_splits(task: Task, seeds: list[int], dtype: str, last_target: bool = False) -> Splits:
    """Draw, split, scale and stack the data of all replicas; raises `ConfigError` if a split
    that was asked for is empty. Data that no seed changes has a replica axis of length 1.

    `last_target` keeps, of targets at every step, those of the last one: many to one.
    """
    drawn = [_checked(task, task.generate(seed)) for seed in seeds]
    if last_target and task.every_step:
        drawn = [replace(samples, y=samples.y[:, -1]) for samples in drawn]
    rows = split_rows(task, drawn[0].span)
    probe = task.probes()
    raw = {n: _stack([(s.x[i], s.y[i]) for s in drawn]) for n, i in rows.items() if len(i)}
    if probe is not None:
        raw["probe"] = _stack([(probe.x, probe.y)])
    scale = _fit(task, *raw["train"])
    parts = {
        n: Split(((x - scale.x_mean) / scale.x_std).astype(dtype), y) for n, (x, y) in raw.items()
    }
    return Splits(parts, scale, dtype)


def _checked(task: Task, samples: Samples) -> Samples:
    """A user's own task may answer with anything: say what was wrong where it can be put right."""
    x, y, every = samples.x, samples.y, task.every_step
    wanted = f"x ({task.samples}, T, F) and y ({task.samples}, {'T, O' if every else 'O'})"
    ranks = (x.ndim, y.ndim) == (3, 3 if every else 2)
    if not ranks or len(x) != task.samples or len(y) != task.samples:
        raise ConfigError(
            f"task={task.name}: draw() gave x {x.shape} and y {y.shape}; it must give {wanted}."
        )
    return samples


def split_rows(task: Task, span: Array | None) -> dict[str, Array]:
    """Which samples belong to train, val and test; every index at most once."""
    n_val = round(task.samples * task.val_fraction)
    n_test = round(task.samples * task.test_fraction)
    borders = np.cumsum([0, task.samples - n_val - n_test, n_val, n_test])
    rows = {n: np.arange(a, b) for n, a, b in zip(NAMES, borders, borders[1:], strict=False)}
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


def _stack(pairs: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    x, y = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    same = all((a == a[:1]).all() or np.isnan(a).all() for a in (x, y))
    return (x[:1], y[:1]) if same else (x, y)


def _fit(task: Task, x: Array, y: Array) -> Scale:
    """The training split's moments; a constant feature keeps its scale of 1."""
    no_shift, no_scale = np.zeros(len(y)), np.ones(len(y))
    if task.scale == "none":
        shape = (len(x), 1, 1, x.shape[-1])
        return Scale(np.zeros(shape), np.ones(shape), no_shift, no_scale)
    x_mean, x_std = _moments(x, (1, 2))
    if task.loss != "mse" or np.isnan(y).any():  # labels, or no targets at all
        return Scale(x_mean, x_std, no_shift, no_scale)
    y_mean, y_std = _moments(y, tuple(range(1, y.ndim)))
    return Scale(x_mean, x_std, y_mean.reshape(-1), y_std.reshape(-1))


def _moments(values: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Mean and standard deviation; rounding must not give a constant a tiny one."""
    low = values.min(axis=axes, keepdims=True)
    constant = np.ptp(values, axis=axes, keepdims=True) == 0
    mean = np.where(constant, low, values.mean(axis=axes, keepdims=True))
    return mean, np.where(constant, 1.0, values.std(axis=axes, keepdims=True))
