"""The base class of a task, which draws samples from its settings and one NumPy generator.

A task is a dataclass (its settings) with a method `draw` (its samples). The modules beside this
file define the tasks; a YAML file in `conf/task/` names the class and the values. Splitting,
scaling and stacking replicas happen once for all tasks, in `harness/training/splits.py`.
"""

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError, check_choice, check_range
from harness.core.random_streams import stream
from harness.tasks.lengths import Rng, bounds, draw_mask


@dataclass(frozen=True)
class Samples:
    """Inputs and targets: `x` `(N, T, F)`, `y` `(N, O)` or, with one per step, `(N, T, O)`.

    A target that is not known is NaN. `span` `(N, 2)` is the stretch of a longer series from which
    each sample was cut (first and last position, inclusive), so that no two splits share a value;
    None means that samples are independent. `mask` `(N, T)`, bool, is False at padding; None means
    that every step is real.
    """

    x: Array
    y: Array
    _: KW_ONLY
    span: Array | None = None
    mask: Array | None = None


@dataclass(frozen=True)
class Bound:
    """The lowest expected loss that any model can reach, and the reason."""

    loss: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """The base class of all tasks, with the settings that every task has.

    `loss` is the loss to train with, and `every_step` says whether there is a target at every time
    step; a subclass overrides them.
    """

    name: str
    samples: int
    val_fraction: float
    test_fraction: float
    scale: str  # none, or standard: zero mean and unit variance, fitted on the training split
    seed: int | None  # of the data; null: the seed of each replica
    legacy_seed: int | None  # draw with numpy.random.RandomState(legacy_seed), as notebooks do
    # min:max, between which each sequence's length is drawn; null: all have the task's length
    lengths: str | None = None

    loss: ClassVar[str] = "mse"
    every_step: ClassVar[bool] = False
    reads_files: ClassVar[bool] = False  # when it is made: then its settings are not all there is

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("task.name=: must not be empty; it names the MLflow experiment.")
        check_range("task.samples", self.samples, 1)
        check_range("task.val_fraction", self.val_fraction, 0.0, 1.0)
        check_range("task.test_fraction", self.test_fraction, 0.0, 1.0)
        check_choice("task.scale", self.scale, ("none", "standard"))
        check_range("task.seed", self.seed, 0)
        check_range("task.legacy_seed", self.legacy_seed, 0, 2**32 - 1)
        if self.val_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"task.val_fraction={self.val_fraction:g} and task.test_fraction="
                f"{self.test_fraction:g}: together they must stay below 1, or no training data "
                "is left."
            )
        if self.lengths is not None:
            low, high = bounds(self.lengths, getattr(self, "length", None))
            # All spellings of a range, such as 3:10 and 03:10, are recorded as one.
            object.__setattr__(self, "lengths", f"{low}:{high}")

    def generate(self, run_seed: int) -> Samples:
        """Draw the samples of the replica whose seed is `run_seed`."""
        if self.legacy_seed is not None:
            return self.draw(np.random.RandomState(self.legacy_seed))
        return self.draw(stream(run_seed if self.seed is None else self.seed, "data"))

    def real_steps(self, rng: Rng, steps: int) -> Array | None:
        """Draw a mask `(N, steps)` of sequence lengths, or return None without `lengths`.

        `draw` calls this last, so that `lengths` changes no other number.
        """
        if self.lengths is None:
            return None
        return draw_mask(rng, *bounds(self.lengths, steps), self.samples, steps)

    def draw(self, rng: Rng) -> Samples:
        """Draw all samples, those for training first.

        Only methods that `np.random.Generator` and `np.random.RandomState` share may be called.
        """
        raise NotImplementedError

    def probes(self) -> Samples | None:
        """Return inputs outside the training range whose predictions are recorded, or None."""
        return None

    def best_loss(self) -> Bound | None:
        """Return the lowest expected loss in original units, or None if it is not known."""
        return None
