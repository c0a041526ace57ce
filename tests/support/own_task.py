"""A task as a user writes one, and what can go wrong with it: each fault by the words of a test.

`options(folder)` writes the YAML files that name it, for `--config-dir`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.tasks import Array, Samples, Task
from harness.tasks.lengths import Rng

YAML = """
defaults: [sum, _self_]
_target_: tests.support.own_task.{name}
name: own
samples: 40
length: 4
fault: none
x_dtype: float64
y_dtype: float64
masked: false
"""


@dataclass(frozen=True)
class Own(Task):
    """Two features of whole numbers, the second of which is always 1; y is the first one's largest.

    40 samples: rows 0 to 31 to train, 32 to 35 to validate, 36 to 39 to test.
    """

    length: int
    fault: str
    x_dtype: str
    y_dtype: str
    masked: bool

    def draw(self, rng: Rng) -> Any:
        high = 2 if "bool" in (self.x_dtype, self.y_dtype) else 120
        x = np.floor(rng.uniform(0, high, (self.samples, self.length, 2)))
        x[:, :, 1] = 1
        mask = np.arange(self.length) < 1 + np.floor(rng.uniform(0, 4, (self.samples, 1)))
        y = self.targets(x[:, :, 0])
        drawn = Samples(x.astype(self.x_dtype), y.astype(self.y_dtype))
        if self.masked:
            drawn = replace(drawn, mask=mask)
        return drawn if "probe" in self.fault else FAULTS[self.fault](drawn)

    def probes(self) -> Any:
        if "probe" not in self.fault:
            return None
        x, y = np.ones((3, self.length, 2)), self.targets(np.ones((3, self.length)))
        return FAULTS[self.fault](Samples(x, y))

    def targets(self, x: Array) -> Array:
        """`(N, T)` -> `(N, 1)`."""
        return x.max(axis=1)[:, None]


@dataclass(frozen=True)
class OwnSteps(Own):
    """A target at every step."""

    every_step = True

    def targets(self, x: Array) -> Array:
        return np.maximum.accumulate(x, axis=1)[:, :, None]


@dataclass(frozen=True)
class OwnLabels(Own):
    """Labels of 0 and 1."""

    loss = "bce"

    def targets(self, x: Array) -> Array:
        return (x.sum(axis=1) > x.mean() * self.length).astype(float)[:, None]


@dataclass(frozen=True)
class OwnMae(Own):
    """A loss that nobody here knows."""

    loss = "mae"


def options(folder: Path) -> Path:
    """A folder for `--config-dir`, with an option of the group task for each class here."""
    (folder / "task").mkdir(parents=True)
    for name in ("Own", "OwnSteps", "OwnLabels", "OwnMae"):
        (folder / "task" / f"{name}.yaml").write_text(YAML.format(name=name))
    return folder


Fault = Callable[[Samples], Any]


def put(name: str, value: float, *index: int | slice) -> Fault:
    """Write `value` at a place of x or y."""

    def changed(drawn: Samples) -> Samples:
        values = getattr(drawn, name).astype(float)
        values[index] = value
        return replace(drawn, **{name: values})

    return changed


def given(name: str, change: Callable[[Array], Any]) -> Fault:
    """Give something else for x, y, mask or span."""
    return lambda drawn: replace(drawn, **{name: change(getattr(drawn, name))})


def padded_with_anything(drawn: Samples) -> Samples:
    x, y = drawn.x.astype(float), drawn.y.astype(float)
    assert drawn.mask is not None
    x[~drawn.mask] = np.nan
    if y.ndim == 3:
        y[~drawn.mask] = 1e300
    return replace(drawn, x=x, y=y)


def spans(last: int) -> Fault:
    return given("span", lambda _: np.array([[i, i + last] for i in range(40)]))


FAULTS: dict[str, Fault] = {
    "none": lambda drawn: drawn,
    "x nan": put("x", np.nan, 20, 2, 1),
    "x nan val": put("x", np.nan, 33, 0, 0),
    "x inf test": put("x", -np.inf, 39, 3, 1),
    "x nan everywhere": put("x", np.nan, slice(None)),
    "x nan probe": put("x", np.nan, 1, 3, 0),
    "y nan": put("y", np.nan, 31),
    "y nan test": put("y", np.nan, 38, -1),
    "y inf val": put("y", np.inf, 34),
    "y nan everywhere": put("y", np.nan, slice(None)),
    "y nan probe": put("y", np.nan, 2),
    "y nan everywhere probe": put("y", np.nan, slice(None)),
    "y step": put("y", np.inf, 33, 2),
    "padding": padded_with_anything,
    "signs": given("y", lambda y: 2 * y - 1),
    "1.5 test": put("y", 1.5, 37),
    "1.5 probe": put("y", 1.5, 0),
    "soft": put("y", 0.3, 37),
    "x 1e39": put("x", 1e39, 37, 1, 0),
    "x 1e200": put("x", 1e200, 5, 1, 0),
    "x 1e-50": given("x", lambda x: x * 1e-50),
    "x 1e-200": given("x", lambda x: x * 1e-200),
    "x 3e38 test": put("x", 3e38, 37, slice(None), slice(None)),
    "y 1e25": put("y", 1e25, 7),
    "y 1e-30": given("y", lambda y: y * 1e-30),
    "y 1e200": put("y", 1e200, 36),
    "y standard 1e200": put("y", 1e200, 6),
    "x list": given("x", lambda x: x.tolist()),
    "y list": given("y", lambda y: y.tolist()),
    "x object": given("x", lambda x: x.astype(object)),
    "x complex": given("x", lambda x: x + 1j),
    "y str": given("y", lambda y: y.astype(str)),
    "x masked": given("x", lambda x: np.ma.masked_greater(x, 3)),
    "x rank": given("x", lambda x: x[:, :, 0]),
    "y rank": given("y", lambda y: y[:, 0]),
    "x empty": given("x", lambda x: x[:, :0]),
    "nothing": lambda _: None,
    "pair": lambda drawn: (drawn.x, drawn.y),
    "mask list": given("mask", lambda _: [[True] * 4] * 40),
    "span": spans(3),
    "span backwards": spans(-1),
    "span shape": given("span", lambda _: np.arange(40)),
    "span nan": given("span", lambda _: np.full((40, 2), np.nan)),
    "probe of one feature": given("x", lambda x: x[:, :, :1]),
    "probe of two outputs": given("y", lambda y: np.repeat(y, 2, axis=1)),
    "steps by seed": lambda drawn: replace(drawn, x=drawn.x[:, : int(1 + drawn.x.sum() % 3)]),
    "span by seed": lambda drawn: spans(int(1 + drawn.x.sum() % 97))(drawn),
}
