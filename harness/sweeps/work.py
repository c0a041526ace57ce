"""Carry out a work unit, in the program itself or in a worker process.

Jobs that can share a program are trained together.
"""

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from backends import BackendFactory
from harness.console.log_file import log_file
from harness.core.errors import ConfigError, Pruned
from harness.runs.identity import Identity
from harness.runs.run import Result, carry_out
from harness.search.pruning import RunningTrials
from harness.sweeps import jobs, sweep
from harness.sweeps.grouping import sharing_key
from harness.sweeps.jobs import Job
from harness.sweeps.prepared_jobs import NAN, PreparedJob, prepared_jobs, refuse
from harness.sweeps.shared_kernel import planned_together
from harness.sweeps.sweep import Sweep
from harness.sweeps.units import WorkUnit
from harness.system.compile_cache import use_compile_cache
from harness.system.compiled_programs import free_if_many
from harness.training.load_backend import load_backend

log = logging.getLogger(__name__)

Losses = dict[int, float]  # number of a job -> its loss, NaN where it failed


def carry_out_unit(unit: WorkUnit, shows_progress: bool = False) -> Losses:
    """Carry out the jobs of a unit; return the loss of each.

    Raises `KeyboardInterrupt` for a stop, when all runs are closed.
    """
    losses: Losses = {}
    groups: dict[Hashable, list[PreparedJob]] = {}
    for each in prepared_jobs(unit):
        if isinstance(each, PreparedJob):
            groups.setdefault(sharing_key(each.plan), []).append(each)
        else:
            job, loss = each
            losses[job.number] = loss
    for group in groups.values():
        free_if_many()
        losses |= _train(unit.sweep, group, shows_progress)
    return losses


def _train(swept: Sweep, group: Sequence[PreparedJob], shows_progress: bool) -> Losses:
    """Train jobs that can share a program, several as replicas of one."""
    config = group[0].plan.config
    use_compile_cache(Path(config.results))
    try:
        load = load_backend(config.backend)
    except ConfigError as error:
        return {each.job.number: refuse(swept, each.job, error) for each in group}
    if len(group) == 1:
        return {group[0].job.number: _train_alone(swept, group[0], load, shows_progress)}
    return _train_together(swept, group, load)


def _train_together(swept: Sweep, group: Sequence[PreparedJob], load: BackendFactory) -> Losses:
    from harness.sweeps.cotraining import SharedTraining
    from harness.sweeps.shared_replicas import Judge, SharedPruning, draw

    losses = dict.fromkeys((each.job.number for each in group), NAN)
    config, trials = group[0].plan.config, _running_trials(swept, group[0])
    pruning = SharedPruning(trials.interval) if trials is not None and trials.prunes else None
    together = sum(each.plan.config.replicas for each in group)

    def work(prepared: PreparedJob, shared: BackendFactory) -> Result:
        _begin(swept, prepared.job)
        identity = replace(_identity(swept, prepared, trials), together=together)
        return carry_out(prepared.plan, identity, shared, draw, prepared.origin, pruning)

    def judge(requests: Mapping[int, Judge]) -> dict[int, bool]:
        assert trials is not None
        reports = {group[i].job.number: r.report for i, r in requests.items()}
        pruned = trials.judge(reports)
        return {i: pruned[group[i].job.number] for i in requests}

    def ended(i: int, result: Any) -> None:
        losses[group[i].job.number] = _reported(swept, group[i].job, result)

    plans = planned_together([each.plan for each in group], load, Path(config.results))
    group = [replace(each, plan=plan) for each, plan in zip(group, plans, strict=True)]
    first, last = group[0], group[-1]
    numbers = f"#{first.job.number} to #{last.job.number}"
    log.info("%s: %d jobs together, in %s", numbers, len(group), first.plan.config.backend.name)
    works = [partial(work, prepared) for prepared in group]
    SharedTraining(plans, load, judge).train(works, ended)
    return losses


def _train_alone(
    swept: Sweep, prepared: PreparedJob, load: BackendFactory, shows_progress: bool
) -> float:
    job = prepared.job
    try:
        _begin(swept, job)
    except ConfigError as error:
        return _reported(swept, job, error)
    with log_file(job.directory / "run.log"):
        try:
            trials = _running_trials(swept, prepared)
            identity = _identity(swept, prepared, trials)
            identity = replace(identity, shows_progress=shows_progress)
            pruning = None if trials is None else trials.pruning(job.number)
            plan, origin = prepared.plan, prepared.origin
            result = carry_out(plan, identity, load, origin=origin, pruning=pruning)
        except Exception as error:
            return _reported(swept, job, error)
        return _reported(swept, job, result)


def _begin(swept: Sweep, job: Job) -> None:
    if not job.resumes:  # else it has begun already
        jobs.begin(swept, job.number, job.directory)


def _running_trials(swept: Sweep, prepared: PreparedJob) -> RunningTrials | None:
    """Return the trials of a search, of which a job is one; None for another sweep."""
    if swept.search is None:
        return None
    return RunningTrials(swept.search, swept.id, prepared.plan.config.trainer.epochs)


def _identity(swept: Sweep, prepared: PreparedJob, trials: RunningTrials | None) -> Identity:
    return Identity(
        name=swept.job_name(prepared.job.overrides),
        directory=prepared.job.directory,
        overrides=prepared.job.overrides,
        parent=sweep.parent(swept, prepared.plan.config),
        shows_progress=False,
        is_followed=True,
        before=prepared.before,
        tags={} if trials is None else trials.tags(prepared.job.number),
    )


def _reported(swept: Sweep, job: Job, result: Result | Exception) -> float:
    """Log how a job has ended, and record a failure; return the loss."""
    if isinstance(result, Pruned):
        log.info("   %s: %s", swept.job_name(job.overrides), result)
        return NAN
    if isinstance(result, Exception):
        jobs.note_failure(swept, job.number, job.directory, job.overrides, result)
        return NAN
    return jobs.report(result)
