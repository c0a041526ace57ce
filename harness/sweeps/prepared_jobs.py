"""Prepare the jobs of a work unit: find what has ended and what goes on, draw data and weights.

A unit may be carried out again, by another process: a job that has ended is left as it is, and one
whose process was killed goes on from its last checkpoint, in a new folder, so that a process that
still writes into the old one does no harm.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import ConfigError
from harness.runs import resume
from harness.runs.folders import first_free, is_only_claimed
from harness.sweeps import jobs
from harness.sweeps.jobs import Job
from harness.sweeps.sweep import Sweep
from harness.sweeps.units import WorkUnit
from harness.system.peak_memory import Resident, resident
from harness.tracking.dead_runs import end_if_dead
from harness.tracking.job_outcomes import outcome
from harness.tracking.journal import end_of
from harness.tracking.launched_jobs import LaunchedJob, launched_jobs
from harness.training.plan import Plan, prepare

log = logging.getLogger(__name__)

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class PreparedJob:
    """A job whose plan is known; `origin` is the run that it goes on with.

    `before` is the memory of the process before the data of its unit were drawn.
    """

    job: Job
    plan: Plan
    origin: resume.ResumedRun | None
    before: Resident | None = None


def prepared_jobs(unit: WorkUnit) -> Iterator[PreparedJob | tuple[Job, float]]:
    """Yield the jobs of a unit that are to be trained, and the others with their losses.

    The loss of a job that cannot be trained is NaN; it is recorded as failed.
    """
    sweep = Path(unit.sweep.directory)
    if end_of(sweep) is not None:  # it was stopped before the unit's turn came
        return
    attempts = {attempt.number: attempt for attempt in launched_jobs(sweep)}
    before = resident()
    for job in unit.jobs:
        earlier = attempts.get(job.number)
        if earlier is not None and _has_ended(job, earlier):
            yield job, recorded_loss(earlier, sweep)
            continue
        if earlier is not None:
            end_if_dead(earlier.folder)
        if earlier is not None or is_only_claimed(job.directory):
            job = replace(job, directory=first_free(job.directory))
        try:
            found = _prepared(unit.sweep, job, None if earlier is None else earlier.folder)
            yield replace(found, before=before)
        except Exception as error:
            yield job, refuse(unit.sweep, job, error)


def recorded_loss(job: LaunchedJob, sweep: Path) -> float:
    """Return the loss of a job that has ended, NaN where it has none."""
    loss = outcome(job, sweep).loss
    return NAN if loss is None else loss


def _has_ended(job: Job, earlier: LaunchedJob) -> bool:
    """Return whether a job has finished, was pruned, or has failed since the sweep went on."""
    end = end_of(earlier.folder)
    if end is None or earlier.folder == job.failed:
        return False
    return end["status"] != "KILLED" or bool(end.get("pruned"))


def _prepared(swept: Sweep, job: Job, earlier: Path | None) -> PreparedJob:
    """Draw a job's data and weights, and find where it goes on. Raises `ConfigError`.

    `earlier` is the folder in which the job was killed.
    """
    if job.resumes:  # files of the run that it resumes may have to be downloaded into its folder
        jobs.begin(swept, job.number, job.directory)
    plan = prepare(job.resumed_config() if job.resumes else job.config)
    if earlier is not None and resume.checkpoint_names(earlier):
        config = replace(plan.config, resume=str(earlier), checkpoint=None)
        try:
            plan, origin = resume.resumed(replace(plan, config=config))
            return PreparedJob(job=job, plan=plan, origin=origin)
        except ConfigError as error:  # a damaged checkpoint
            log.warning("%s begins anew: %s", swept.job_name(job.overrides), error)
    plan, origin = resume.resumed(plan)
    return PreparedJob(job=job, plan=plan, origin=origin)


def refuse(swept: Sweep, job: Job, error: Exception) -> float:
    """Record a job that cannot be trained, in its own folder if nobody else has it; return NaN."""
    if not job.resumes:
        try:
            jobs.begin(swept, job.number, job.directory)
        except ConfigError as taken:
            error = taken
    jobs.note_failure(swept, job.number, job.directory, job.overrides, error)
    return NAN
