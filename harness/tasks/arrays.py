"""Two data sets of fixed form, for looking at a single forward pass or a single update."""

from dataclasses import dataclass

import numpy as np

from harness.errors import check_range
from harness.tasks import Bound, Samples, Task


@dataclass(frozen=True)
class Arrays(Task):
    """Sequences of `length` steps, `features` inputs and `outputs` targets."""

    length: int
    features: int
    outputs: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("task.length", self.length, 1)
        check_range("task.features", self.features, 1)
        check_range("task.outputs", self.outputs, 1)


@dataclass(frozen=True)
class Counting(Arrays):
    """x counts 1, 2, 3, … along features, then steps, then samples. There are no targets."""

    every_step = True

    def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
        shape = (self.samples, self.length, self.features)
        x = np.arange(1.0, np.prod(shape) + 1).reshape(shape)
        return Samples(x, np.full((self.samples, self.length, self.outputs), np.nan))


@dataclass(frozen=True)
class Gaussian(Arrays):
    """Inputs and targets are independent standard normal numbers."""

    def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
        x = rng.standard_normal((self.samples, self.length, self.features))
        return Samples(x, rng.standard_normal((self.samples, self.outputs)))

    def best_loss(self) -> Bound:
        return Bound(1.0, "the variance of the targets, which are unrelated to the inputs")
