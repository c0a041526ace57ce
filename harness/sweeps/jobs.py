"""The jobs of a sweep: form groups that train together, run them, and record how each ends.

A job never raises an exception to Hydra (see `harness/sweeps/sweep.py`): a failure is logged at
once and written to the job's journal.
"""

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from harness.config.parsing import from_hydra
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.runs.folders import FolderTaken, check_free, claim_job, relative_to_cwd
from harness.sweeps import sweep
from harness.system.physical_memory import physical_memory
from harness.tracking import provenance
from harness.tracking.journal import Journal, append, last
from harness.tracking.launched_jobs import record_job
from harness.training.load_backend import load_backend
from harness.training.memory_check import required_memory
from harness.training.plan import Plan, prepare

log = logging.getLogger(__name__)

JOB_KEY = "hydra.sweep.subdir"  # the setting that decides the folder of a job
MEMORY_SHARE = 0.25  # share of the machine's memory that one group may need
# Jobs of a group at most. So many runs are open at once, whatever the size of the sweep, and a stop
# or a crash costs no more than these. Beyond some 100 replicas a larger program is no faster per
# replica.
MAX_GROUP = 256


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of a sweep, as Hydra composed it."""

    number: int
    overrides: list[str]
    directory: Path
    composed: DictConfig

    @cached_property
    def config(self) -> Config:
        """The checked configuration. Raises `ConfigError`."""
        return from_hydra(self.composed)


def groups(jobs: Sequence[Job]) -> list[list[int]]:
    """Return groups of indices of the jobs that share a program, ordered by their first jobs.

    A job that shares with no other, cannot be prepared, or resumes a run is a group by itself.
    """
    from harness.sweeps.grouping import sharing_key

    members: dict[tuple[Hashable, int], list[int]] = {}
    room: dict[tuple[Hashable, int], float] = {}
    for i, job in enumerate(jobs):
        group: tuple[Hashable, int] = ("alone", i)
        if job.composed.get("resume") is None:
            try:
                needed = required_memory(job.config)
                key = sharing_key(prepare(job.config))
                # After a full group, another one with the same key is begun.
                full_groups = sum(
                    1
                    for known, indices in members.items()
                    if known[0] == key and (room[known] < needed or len(indices) == MAX_GROUP)
                )
                group = (key, full_groups)
                room[group] = room.get(group, MEMORY_SHARE * physical_memory()) - needed
            except ConfigError:  # reported when the job runs
                pass
        members.setdefault(group, []).append(i)
    return list(members.values())


def check_folders(jobs: Sequence[Job], swept: sweep.Sweep) -> None:
    """Raise `ConfigError` unless each job has its own folder and all keep results in one place.

    A folder that holds a run is nobody's. No job has begun by then.
    """
    first_in: dict[Path, Job] = {}
    for job in jobs:
        swept.check_place(job.composed)
        check_free(job.directory, JOB_KEY)
        first = first_in.setdefault(job.directory.absolute(), job)
        if first is not job:
            raise ConfigError(
                f"{JOB_KEY}: jobs {first.number} and {job.number} would both have the folder "
                f"{relative_to_cwd(job.directory)}; add what tells them apart, such as "
                "${hydra.job.num}."
            )


def begin(swept: sweep.Sweep, number: int, directory: Path) -> None:
    """Claim the folder of a job, and add the job to the sweep's journal. Raises `ConfigError`."""
    claim_job(directory, JOB_KEY)
    record_job(Path(swept.directory), number, directory)


def run_together(jobs: Sequence[Job]) -> list[float]:
    """Train the jobs of one group as replicas of one program; return losses, NaN for failures."""
    from harness.runs.run import Identity, carry_out
    from harness.sweeps.cotraining import SharedTraining
    from harness.sweeps.shared_replicas import draw
    from harness.system.compile_cache import use_compile_cache

    swept = sweep.current()
    assert swept is not None
    plans = [prepare(job.config) for job in jobs]
    config = plans[0].config
    use_compile_cache(Path(config.results))
    numbers = f"#{jobs[0].number} to #{jobs[-1].number}"
    log.info("%s: %d jobs together, in %s", numbers, len(jobs), config.backend.name)
    losses = [float("nan")] * len(jobs)

    def work(plan: Plan, job: Job, load: Any) -> Any:
        begin(swept, job.number, job.directory)
        parent = sweep.parent(swept, plan.config)
        name = swept.job_name(job.overrides)
        identity = Identity(
            name=name,
            directory=job.directory,
            overrides=job.overrides,
            parent=parent,
            shows_progress=False,
        )
        return carry_out(plan, identity, load, draw)

    def ended(i: int, result: Any) -> None:
        if isinstance(result, Exception):
            note_failure(swept, jobs[i].number, jobs[i].directory, jobs[i].overrides, result)
        else:
            losses[i] = report(result)

    works = [partial(work, plan, job) for plan, job in zip(plans, jobs, strict=True)]
    SharedTraining(plans, load_backend(config.backend)).train(works, ended)
    return losses


def run_alone(config: Config, directory: Path, overrides: list[str], swept: sweep.Sweep) -> float:
    """Run one job by itself; return its loss."""
    from harness.runs.run import Identity, run

    parent = sweep.parent(swept, config)
    return report(
        run(
            config,
            Identity(
                name=swept.job_name(overrides),
                directory=directory,
                overrides=overrides,
                parent=parent,
            ),
        )
    )


def report(result: Any) -> float:
    """Log the loss of a finished job; return it."""
    from harness.runs.summary import headline

    log.info("   %s: loss %.6g", headline(result), result.loss)
    return result.loss


def note_failure(
    swept: sweep.Sweep, number: int, directory: Path, overrides: list[str], error: Exception
) -> None:
    """Log a failure, and record it for the table at the end of the sweep.

    It is written to the job's journal, or to the sweep's where the folder belongs to another run.
    """
    name, command = swept.job_name(overrides), provenance.command(overrides)
    log.error("   %s failed: %s", name, error)
    if isinstance(error, FolderTaken):
        event = {"number": number, "name": name, "command": command, "error": str(error)}
        append(Path(swept.directory), "refused", **event)
    elif last(directory, "end") is None:
        journal = Journal(directory)
        journal.write("refused", name=name, command=command)
        journal.write("end", status="FAILED", error=str(error))
        journal.close()
