"""The trials of a study that are jobs of one sweep: asked, found again, and told how they ended.

A study may be shared by several sweeps, so a trial has the sweep's id and the number of its job.
"""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.search.samplers import sampler_for
from harness.search.settings import Search
from harness.search.space import Parameter

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

SWEEP, JOB, RUN, COMMAND, ERROR = "sweep", "job", "run", "command", "error"  # of a trial


def trials_of(study: "Study", sweep: str) -> "dict[int, FrozenTrial]":
    """Return the trials of a sweep by the numbers of their jobs, in that order."""
    trials = study.get_trials(deepcopy=False)
    found = {t.user_attrs[JOB]: t for t in trials if t.user_attrs.get(SWEEP) == sweep}
    return dict(sorted(found.items()))


def unfinished(trials: "dict[int, FrozenTrial]") -> "dict[int, FrozenTrial]":
    """Return those of which the study does not know yet how they ended."""
    return {job: trial for job, trial in trials.items() if not trial.state.is_finished()}


def opened(study: "Study", trial: "FrozenTrial") -> "Trial":
    """Return a trial that has begun in this process or another, to report to and to go on with."""
    from optuna import Trial

    return Trial(study, trial._trial_id)  # noqa: SLF001  # Optuna has no public way


def give_up_nameless(study: "Study") -> None:
    """Let trials fail that were asked for in the moment in which a sweep was killed.

    They have no job yet. The study must be that of one sweep alone.
    """
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if JOB not in trial.user_attrs:
            study.tell(trial.number, state=TrialState.FAIL)


def enqueue_grid(study: "Study", space: Sequence[Parameter]) -> None:
    """Let the study have every point of a grid once, also where several sweeps share it."""
    names = [parameter.name for parameter in space]
    for point in itertools.product(*(parameter.values or () for parameter in space)):
        study.enqueue_trial(dict(zip(names, point, strict=True)), skip_if_exists=True)


def has_waiting(study: "Study") -> bool:
    """Return whether a trial is enqueued that nobody has begun."""
    from optuna.trial import TrialState

    return bool(study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))


def ask(
    study: "Study", search: Search, space: Sequence[Parameter], sweep: str, job: int
) -> list[str]:
    """Begin the trial that is job number `job`, if it has not begun; return its overrides."""
    study.sampler = sampler_for(search, job)
    begun = trials_of(study, sweep).get(job)
    if begun is None:
        trial = study.ask()
        trial.set_user_attr(SWEEP, sweep)
        trial.set_user_attr(JOB, job)
    else:
        trial = opened(study, begun)
    return [parameter.asked(trial) for parameter in space]


def tell(
    study: "Study",
    trial: "FrozenTrial",
    values: Sequence[float | None],
    pruned: bool,
    facts: dict[str, str],
) -> None:
    """Tell the study how a trial ended: complete with all its values, pruned, or failed."""
    from optuna.samplers import RandomSampler
    from optuna.trial import TrialState

    study.sampler = RandomSampler()  # opening the trial is not to ask for values
    known = opened(study, trial)
    for name, text in facts.items():
        known.set_user_attr(name, text)
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if pruned:
        study.tell(trial.number, state=TrialState.PRUNED)
    elif len(numbers) == len(values):
        study.tell(trial.number, numbers)
    else:
        study.tell(trial.number, state=TrialState.FAIL)
