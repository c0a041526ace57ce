"""The trials of a study that are jobs of one sweep: asked, found again, and told how they ended.

A study may be shared by several sweeps, so a trial has the sweep's id and the number of its job.
"""

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

    They are no job's yet. The study must be that of one sweep alone.
    """
    from optuna.trial import TrialState

    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if SWEEP not in trial.user_attrs:
            _end(study, trial.number, "FAIL")


def ask(
    study: "Study", search: Search, space: Sequence[Parameter], sweep: str, job: int
) -> list[str] | None:
    """Begin the trial that is job number `job`, if it has not begun; return its overrides.

    None where a grid has no point for it, since other sweeps have taken the rest.
    """
    begun = trials_of(study, sweep).get(job)
    if begun is not None:
        return [parameter.word(begun.params[parameter.name]) for parameter in space]
    study.sampler = sampler_for(search, space, job)
    points = math.prod(len(p.values or ()) for p in space) if search.sampler == "grid" else math.inf
    if len(study.get_trials(deepcopy=False)) >= points:
        return None
    trial = study.ask()
    if trial.number >= points:  # another program was quicker
        trial.set_user_attr(ERROR, "the grid has no more points")
        _end(study, trial.number, "FAIL")
        return None
    words = [parameter.asked(trial) for parameter in space]
    trial.set_user_attr(JOB, job)
    trial.set_user_attr(SWEEP, sweep)  # the last one: without it the trial is asked anew
    return words


def tell(
    study: "Study",
    trial: "FrozenTrial",
    values: Sequence[float | None],
    pruned: bool,
    facts: dict[str, str],
) -> None:
    """Tell the study how a trial ended: complete with all its values, pruned, or failed."""
    from optuna.samplers import RandomSampler

    study.sampler = RandomSampler()  # opening the trial is not to ask for values
    known = opened(study, trial)
    for name, text in facts.items():
        known.set_user_attr(name, text)
    numbers = [value for value in values if value is not None and math.isfinite(value)]
    if pruned:
        _end(study, trial.number, "PRUNED")
    elif len(numbers) == len(values):
        study.tell(trial.number, numbers)
    else:
        _end(study, trial.number, "FAIL")


def _end(study: "Study", number: int, state: str) -> None:
    from optuna.samplers import RandomSampler
    from optuna.trial import TrialState

    study.sampler = RandomSampler()  # a grid's would stop Optuna's own loop, which there is not
    study.tell(number, state=TrialState[state])
