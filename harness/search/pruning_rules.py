"""The rules by which trials are pruned: successive halving, the median, a signed-rank test.

Values are such that lower ones are better.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.core.arrays import Array

if TYPE_CHECKING:
    from optuna import Study

FACTOR = 4  # ASHA: one of so many goes on
ALPHA = 0.1  # Wilcoxon: probability that a trial no worse than the best is pruned, over all looks


def asha(value: float, reached: Sequence[float]) -> bool:
    """Return whether a trial is not among the best quarter of all that have reached an epoch.

    Asynchronous successive halving (Li et al. 2020), of lower values; `reached` has the trial's,
    too. The best one always goes on.
    """
    kept = max(1, len(reached) // FACTOR)
    return value > sorted(reached)[kept - 1]


def is_asha_look(report: int) -> bool:
    """Return whether successive halving judges at this report (1, 4, 16, …)."""
    return _is_power(report, FACTOR)


def median(study: "Study", number: int) -> bool:
    """Return whether a trial's best report is worse than the median of finished trials there.

    None is pruned before five have finished.
    """
    from optuna.pruners import MedianPruner

    pruner = MedianPruner(n_startup_trials=5, n_warmup_steps=0, interval_steps=1, n_min_trials=1)
    return pruner.prune(study, study.get_trials(deepcopy=False)[number])


def wilcoxon(values: Array, best: Array, alpha: float) -> bool:
    """Return whether a trial's replicas are worse than those of the best trial at the same epoch.

    Replica r of both has the same seed, and so the same data and batches: the differences are
    paired. It is the one-sided signed-rank test, of lower values.
    """
    from scipy.stats import wilcoxon  # pyright: ignore[reportMissingTypeStubs]

    if len(values) != len(best) or values.mean() <= best.mean():
        return False
    result: Any = wilcoxon(values - best, alternative="greater", zero_method="zsplit")
    return bool(result.pvalue < alpha)


def is_wilcoxon_look(report: int) -> bool:
    """Return whether the signed-rank test is done at this report (2, 4, 8, …)."""
    return report > 1 and _is_power(report, 2)


def wilcoxon_looks(interval: int, epochs: int) -> int:
    """Return how often a trial is tested before its last epoch."""
    return sum(map(is_wilcoxon_look, range(-(-epochs // interval))))


def _is_power(number: int, base: int) -> bool:
    while number > 1 and number % base == 0:
        number //= base
    return number == 1
