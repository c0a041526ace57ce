"""Data of any shape: numbers that count up, and random regression or classification problems.

`Counting` is for looking at a single forward pass. `Gaussian` has targets unrelated to its inputs.
"""

import math
from dataclasses import dataclass

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import check_choice, check_range
from harness.tasks.base import Bound, Samples, Task
from harness.tasks.lengths import Rng, pad


@dataclass(frozen=True, kw_only=True)
class Arrays(Task):
    """The base class of tasks with `length` steps, `features` inputs and `outputs` targets."""

    length: int
    features: int
    outputs: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("task.length", self.length, 1)
        check_range("task.features", self.features, 1)
        check_range("task.outputs", self.outputs, 1)


@dataclass(frozen=True, kw_only=True)
class Counting(Arrays):
    """x counts 1, 2, 3, … along features, then steps, then samples. There are no targets."""

    every_step = True

    def draw(self, rng: Rng) -> Samples:
        """Return `x` `(N, T, F)` and `y` `(N, T, O)`, all of it NaN; only lengths are drawn."""
        shape = (self.samples, self.length, self.features)
        x = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
        y = np.full((self.samples, self.length, self.outputs), np.nan)
        mask = self.real_steps(rng, self.length)
        return Samples(pad(x, mask), y, mask=mask)


@dataclass(frozen=True, kw_only=True)
class Gaussian(Arrays):
    """Inputs and targets are independent: standard normal numbers, or coin flips as targets."""

    targets: str  # last: one target per sequence; every_step: one per time step
    labels: bool  # targets are coin flips, and outputs are logits

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("task.targets", self.targets, ("last", "every_step"))

    # Class variables in other tasks; here a setting decides.
    @property
    def loss(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The loss to train with: `bce` for labels, else `mse`."""
        return "bce" if self.labels else "mse"

    @property
    def every_step(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether there is a target at every time step."""
        return self.targets == "every_step"

    def draw(self, rng: Rng) -> Samples:
        """Draw `x` `(N, T, F)` and `y` `(N, O)` or `(N, T, O)`."""
        x = rng.standard_normal((self.samples, self.length, self.features))
        steps = (self.length,) if self.every_step else ()
        y = self._targets(rng, (self.samples, *steps, self.outputs))
        mask = self.real_steps(rng, self.length)
        return Samples(pad(x, mask), pad(y, mask) if self.every_step else y, mask=mask)

    def best_loss(self) -> Bound:
        """Return the loss of predicting the mean target: ln 2 of labels, else 1."""
        if self.labels:
            return Bound(math.log(2), "ln 2: the labels are coin flips")
        return Bound(1.0, "the variance of the targets, which are unrelated to the inputs")

    def _targets(self, rng: Rng, shape: tuple[int, ...]) -> Array:
        if self.labels:
            return (rng.uniform(size=shape) > 0.5).astype(float)
        return rng.standard_normal(shape)
