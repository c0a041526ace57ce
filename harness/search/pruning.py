"""Which trials are pruned, from what they and others have reported during training.

A trial reports every `interval` epochs the mean over its replicas of the first objective. Trials
that share a program are at the same epoch: all report before one of them is judged, so that none is
at an advantage for its place in the program.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.core.arrays import Array
from harness.search.pruning_rules import (
    ALPHA,
    asha,
    is_asha_look,
    is_wilcoxon_look,
    median,
    wilcoxon,
    wilcoxon_looks,
)
from harness.search.settings import Search
from harness.search.study import open_study
from harness.search.trials import opened, trials_of, unfinished

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial


@dataclass(frozen=True)
class Report:
    """What a trial has measured in an epoch: metrics by name, `(R,)` each."""

    epoch: int
    values: Mapping[str, Array]


class RunningTrials:
    """The trials of a sweep that are not finished, by the numbers of their jobs."""

    def __init__(self, search: Search, sweep: str, epochs: int) -> None:
        self.search, self.interval = search, search.interval(epochs)
        self.looks = wilcoxon_looks(self.interval, epochs)
        self.study = open_study(search)
        found = unfinished(trials_of(self.study, sweep))
        self.trials: dict[int, Trial] = {j: opened(self.study, t) for j, t in found.items()}

    @property
    def prunes(self) -> bool:
        """Whether trials may be pruned."""
        return self.search.pruner != "none"

    def pruning(self, job: int) -> "TrialPruning | None":
        """Return a job's pruning where it trains by itself; None where none is pruned."""
        return TrialPruning(self, job) if self.prunes else None

    def tags(self, job: int) -> dict[str, str]:
        """Return the tags of a job's run that name its trial."""
        if job not in self.trials:
            return {}
        return {"trial.number": str(self.trials[job].number), "trial.study": self.study.study_name}

    def judge(self, reports: Mapping[int, Report]) -> dict[int, bool]:
        """Report to the study; return for the number of each job whether it is pruned."""
        if reports.keys() - self.trials.keys():
            return dict.fromkeys(reports, False)  # a run that no trial stands for
        name = self.search.objectives[0]
        sign = 1.0 if self.search.senses[0] == "minimize" else -1.0
        known = self.study.get_trials(deepcopy=False)
        for job, report in reports.items():
            trial, values = self.trials[job], report.values[name]
            if report.epoch in known[trial.number].intermediate_values:
                continue  # before its process was killed
            trial.report(float(values.mean()), report.epoch)
            if self.search.pruner == "wilcoxon":
                trial.set_user_attr(replicas_at(report.epoch), values.tolist())
        return {job: self._is_pruned(job, report, name, sign) for job, report in reports.items()}

    def _is_pruned(self, job: int, report: Report, name: str, sign: float) -> bool:
        look = report.epoch // self.interval
        values = sign * report.values[name]
        if self.search.pruner == "asha":
            others = values_at(report.epoch, self.study)
            return is_asha_look(look) and asha(values.mean(), [sign * v for v in others])
        if self.search.pruner == "wilcoxon":
            best = best_replicas(self.study, report.epoch)
            alpha = ALPHA / max(1, self.looks)
            is_look = is_wilcoxon_look(look)
            return is_look and best is not None and wilcoxon(values, sign * best, alpha)
        return median(self.study, self.trials[job].number)


@dataclass(frozen=True)
class TrialPruning:
    """The pruning of a trial that trains by itself: see `harness.training.pruning`."""

    trials: RunningTrials
    job: int

    def prunes(self, epoch: int, values: dict[str, Array]) -> bool:
        """Report every `interval` epochs; return whether the run ends after this one."""
        if epoch % self.trials.interval:
            return False
        return self.trials.judge({self.job: Report(epoch, values)})[self.job]


def values_at(epoch: int, study: "Study") -> list[float]:
    """Return what every trial has reported at an epoch, however it ended."""
    trials = study.get_trials(deepcopy=False)
    return [t.intermediate_values[epoch] for t in trials if epoch in t.intermediate_values]


def best_replicas(study: "Study", epoch: int) -> Array | None:
    """Return what the replicas of the best finished trial reported at an epoch, `(R,)`, or None."""
    try:
        best: FrozenTrial = study.best_trial
    except ValueError:  # none has finished
        return None
    values = best.user_attrs.get(replicas_at(epoch))
    return None if values is None else np.array(values)


def replicas_at(epoch: int) -> str:
    """Return the name of the attribute with the replicas' values at an epoch."""
    return f"replicas at epoch {epoch}"
