"""Classify a sequence as 0 or 1: many to one, with a logit as output."""

import math
from dataclasses import dataclass

from harness.core.errors import check_choice, check_range
from harness.tasks.base import Bound, Samples, Task
from harness.tasks.lengths import Rng, pad


@dataclass(frozen=True, kw_only=True)
class Binary(Task):
    """x_t ~ U(0, 1); y = 1 if their mean exceeds 1/2 (`threshold`), or a coin flip (`random`).

    The mean is over the real time steps.
    """

    length: int
    rule: str

    loss = "bce"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("task.length", self.length, 1)
        check_choice("task.rule", self.rule, ("threshold", "random"))

    def draw(self, rng: Rng) -> Samples:
        """Draw `x` `(N, T, 1)` and the labels `(N, 1)`."""
        x = rng.uniform(size=(self.samples, self.length))
        coins = None if self.rule == "threshold" else rng.uniform(size=self.samples)
        mask = self.real_steps(rng, self.length)
        score = x.mean(axis=1, where=True if mask is None else mask) if coins is None else coins
        return Samples(pad(x, mask)[:, :, None], (score > 0.5).astype(float)[:, None], mask=mask)

    def best_loss(self) -> Bound:
        """Return 0 for `threshold`; for `random` ln 2, the entropy of a coin flip."""
        if self.rule == "threshold":
            return Bound(0.0, "the label is a function of the inputs")
        return Bound(math.log(2), "ln 2: the labels are coin flips")
