"""The tasks one to one and one to many, which have no sequence of inputs."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from harness.core.errors import check_range
from harness.tasks.base import Bound, Samples, Task
from harness.tasks.lengths import Rng, pad


@dataclass(frozen=True, kw_only=True)
class Curve(Task):
    """x ~ U(0, 1), y = sin(2πx): a single time step, one to one."""

    length: ClassVar[int] = 1

    def draw(self, rng: Rng) -> Samples:
        """Draw `x` `(N, 1, 1)` and `y` `(N, 1)`."""
        x = rng.uniform(size=(self.samples, 1))
        return Samples(x[:, :, None], np.sin(2 * np.pi * x), mask=self.real_steps(rng, 1))

    def best_loss(self) -> Bound:
        """Return 0."""
        return Bound(0.0, "the target is a function of the input")


@dataclass(frozen=True, kw_only=True)
class Unfold(Task):
    """x_1 = a ~ U(0, 1), followed by zeros; y_t = a · ratio^(t−1): one to many."""

    length: int
    ratio: float

    every_step = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("task.length", self.length, 1)
        check_range("task.ratio", self.ratio, -1.0, 1.0)

    def draw(self, rng: Rng) -> Samples:
        """Draw `x` and `y` `(N, T, 1)`."""
        a = rng.uniform(size=(self.samples, 1))
        x = a * (np.arange(self.length) == 0)
        mask = self.real_steps(rng, self.length)
        y = pad(a * self.ratio ** np.arange(self.length), mask)
        return Samples(x[:, :, None], y[:, :, None], mask=mask)

    def best_loss(self) -> Bound:
        """Return 0."""
        return Bound(0.0, "every target is a function of the first input")
