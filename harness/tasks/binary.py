"""Say yes or no to a sequence: many to one, with a logit as output."""

import math
from dataclasses import dataclass

import numpy as np

from harness.errors import check_choice, check_range
from harness.tasks import Bound, Samples, Task


@dataclass(frozen=True)
class Binary(Task):
    """x_t ~ U(0, 1); y = 1 if their mean exceeds 1/2 (`threshold`), or a coin flip (`random`)."""

    length: int
    rule: str

    loss = "bce"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("task.length", self.length, 1)
        check_choice("task.rule", self.rule, ("threshold", "random"))

    def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
        x = rng.uniform(size=(self.samples, self.length))
        source = x.mean(axis=1) if self.rule == "threshold" else rng.uniform(size=self.samples)
        return Samples(x[:, :, None], (source > 0.5).astype(float)[:, None])

    def best_loss(self) -> Bound:
        if self.rule == "threshold":
            return Bound(0.0, "the label is a function of the inputs")
        return Bound(math.log(2), "ln 2: the labels are coin flips")
