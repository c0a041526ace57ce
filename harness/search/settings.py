"""The settings `hydra.sweeper.…` of a search, checked before anything is opened or begun."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from harness.core.errors import ConfigError, check_choice, check_package, check_range

SAMPLERS = ("tpe", "cmaes", "random", "grid")
PRUNERS = ("none", "asha", "median", "wilcoxon")
EPOCH_METRICS = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")  # of each epoch
OBJECTIVES = (
    *EPOCH_METRICS,
    *("test/loss", "test/accuracy", "params/total", "params/trainable"),
    *("time/train_s", "time/compile_s", "time/per_step_us"),
)
Direction: TypeAlias = Literal["minimize", "maximize"]
TRIALS = 40  # where none are given; a grid has its own number
TOGETHER = 8  # trials asked at once where they depend on the results of others
AT_MOST = 256  # trials asked at once
REPORTS = 16  # of each trial where report_every is not given


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched for, how, and where the study is kept. Raises `ConfigError`."""

    trials: int | None  # null: all points of a grid, else TRIALS
    batch: int | str  # trials asked at once, or auto
    outstanding: int  # batches in work at once
    sampler: str
    pruner: str
    report_every: int | None  # epochs between two reports; null: a sixteenth of all
    objectives: list[str]
    directions: list[str] | None  # null: losses are minimised, accuracies maximised
    seed: int
    storage: str | None  # null: a journal file in the sweep's folder
    study: str | None

    def __post_init__(self) -> None:
        check_package("hydra/sweeper=optuna", "optuna", "optuna", "optuna")
        check_choice(f"{KEY}.sampler", self.sampler, SAMPLERS)
        check_choice(f"{KEY}.pruner", self.pruner, PRUNERS)
        if self.sampler == "cmaes":
            check_package(f"{KEY}.sampler=cmaes", "cmaes", "cmaes", "optuna")
        check_range(f"{KEY}.trials", self.trials, 1)
        check_range(f"{KEY}.outstanding", self.outstanding, 1)
        check_range(f"{KEY}.report_every", self.report_every, 1)
        check_range(f"{KEY}.seed", self.seed, 0)
        if self.batch != "auto" and (not isinstance(self.batch, int) or self.batch < 1):
            raise ConfigError(
                f"{KEY}.batch={self.batch}: must be auto or a whole number of at least 1."
            )
        if self.outstanding > 1 and not self.may_overlap:
            raise ConfigError(
                f"{KEY}.outstanding={self.outstanding}: cmaes asks for a generation by the results "
                "of the one before; use 1, or another sampler."
            )
        self._check_objectives()
        if self.storage is not None and self.study is None:
            raise ConfigError(
                f"{KEY}.study: name the study, such as {KEY}.study=first: a storage may have many."
            )

    def _check_objectives(self) -> None:
        if not self.objectives:
            raise ConfigError(f"{KEY}.objectives=[]: must name a metric, such as [val/loss].")
        for name in self.objectives:
            check_choice(f"{KEY}.objectives", name, OBJECTIVES)
        for direction in self.directions or ():
            check_choice(f"{KEY}.directions", direction, get_args(Direction))
        if self.directions is not None and len(self.directions) != len(self.objectives):
            raise ConfigError(
                f"{KEY}.directions={_listed(self.directions)}: must have one for each of "
                f"objectives={_listed(self.objectives)}."
            )
        several = len(self.objectives) > 1
        if several and self.pruner != "none":
            raise ConfigError(
                f"{KEY}.pruner={self.pruner}: a trial is pruned by one objective, not by "
                f"{_listed(self.objectives)}; use none."
            )
        if several and self.sampler == "cmaes":
            raise ConfigError(
                f"{KEY}.sampler=cmaes: has one objective, not {_listed(self.objectives)}; use tpe."
            )
        if self.pruner != "none" and self.objectives[0] not in EPOCH_METRICS:
            raise ConfigError(
                f"{KEY}.pruner={self.pruner}: needs an objective that is measured in every epoch, "
                f"one of {', '.join(EPOCH_METRICS)}; {self.objectives[0]} is not."
            )

    @property
    def senses(self) -> list[Direction]:
        """The direction of each objective."""
        usual = ["maximize" if n.endswith("accuracy") else "minimize" for n in self.objectives]
        return ["maximize" if d == "maximize" else "minimize" for d in self.directions or usual]

    @property
    def prunes(self) -> bool:
        """Whether trials may be pruned."""
        return self.pruner != "none"

    @property
    def may_overlap(self) -> bool:
        """Whether several batches may be in work: CMA-ES would use the results of every other."""
        return self.sampler != "cmaes"

    def number(self, points: int | None) -> int:
        """Return the number of trials, in a space of so many points; None: infinitely many."""
        if self.sampler == "grid" and points is not None:
            return min(points, self.trials or points)
        return self.trials or TRIALS

    def together(self, dimensions: int) -> int:
        """Return how many trials are asked at once in a space of so many dimensions."""
        if isinstance(self.batch, int):
            return self.batch
        if self.sampler == "cmaes":  # a generation
            return 4 + math.floor(3 * math.log(dimensions))
        depends = self.sampler == "tpe" or self.pruner in ("median", "wilcoxon")
        return TOGETHER if depends else AT_MOST

    def interval(self, epochs: int) -> int:
        """Return the epochs between two reports of a trial that has so many."""
        return self.report_every or max(1, math.ceil(epochs / REPORTS))


KEY = "hydra.sweeper"


def _listed(words: Iterable[str]) -> str:
    return f"[{','.join(words)}]"
