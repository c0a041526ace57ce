"""Add up a sequence of uniform numbers: many to one."""

from dataclasses import dataclass

from harness.core.errors import check_range
from harness.tasks.base import Bound, Samples, Task
from harness.tasks.lengths import Rng, pad


@dataclass(frozen=True, kw_only=True)
class Sum(Task):
    """x_t ~ U(0, 1), y = Σ_t x_t over the real steps."""

    length: int

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("task.length", self.length, 1)

    def draw(self, rng: Rng) -> Samples:
        """Draw `x` `(N, T, 1)` and `y` `(N, 1)`."""
        x = rng.uniform(size=(self.samples, self.length))
        mask = self.real_steps(rng, self.length)
        x = pad(x, mask)
        return Samples(x[:, :, None], x.sum(axis=1)[:, None], mask=mask)

    def best_loss(self) -> Bound:
        """Return 0."""
        return Bound(0.0, "the sum is a function of the inputs")


@dataclass(frozen=True, kw_only=True)
class RunningSum(Sum):
    """x_t ~ U(0, 1), y_t = Σ_{s≤t} x_s: a target at every step, many to many."""

    every_step = True

    def draw(self, rng: Rng) -> Samples:
        """Draw `x` and `y` `(N, T, 1)`."""
        x = rng.uniform(size=(self.samples, self.length))
        mask = self.real_steps(rng, self.length)
        x = pad(x, mask)
        return Samples(x[:, :, None], pad(x.cumsum(axis=1), mask)[:, :, None], mask=mask)
