"""The jobs of a sweep: which of them are trained together, and how each ends.

A job never fails in Hydra's eyes (see `harness/sweeps/sweep.py`): what went wrong is said at once
and left in its journal.
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
from harness.runs.folders import FolderTaken, check_free, claim_job, shown
from harness.runs.launched_jobs import note_job
from harness.sweeps import sweep
from harness.system.physical_memory import physical_memory
from harness.tracking import provenance
from harness.tracking.journal import Journal, append, last
from harness.training.load_backend import load_backend
from harness.training.memory_check import required_memory
from harness.training.plan import Plan, prepare

log = logging.getLogger(__name__)

JOB_KEY = "hydra.sweep.subdir"  # decides the folder of a job
SHARE = 0.25  # of the machine's memory that one group may need
# Jobs of a group: whatever a sweep's size, so many runs are open at once, and a stop or a crash
# costs no more than these. Beyond some 100 replicas a larger program is no faster per replica.
MOST = 256


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of a sweep, as Hydra composed it."""

    number: int
    overrides: list[str]
    directory: Path
    composed: DictConfig

    @cached_property
    def config(self) -> Config:
        """Raises `ConfigError`."""
        return from_hydra(self.composed)


def groups(jobs: Sequence[Job]) -> list[list[int]]:
    """Indices of jobs that share a program, in the order of each group's first; a job that can
    share with none, cannot be prepared or goes on with an earlier run is alone."""
    from harness.sweeps.grouping import key

    found: dict[tuple[Hashable, int], list[int]] = {}
    room: dict[tuple[Hashable, int], float] = {}
    for i, job in enumerate(jobs):
        name: tuple[Hashable, int] = ("alone", i)
        if job.composed.get("resume") is None:
            try:
                needed = required_memory(job.config)
                base = key(prepare(job.config))
                # A group that is full is followed by another of the same kind.
                part = sum(
                    1
                    for known, own in found.items()
                    if known[0] == base and (room[known] < needed or len(own) == MOST)
                )
                name = (base, part)
                room[name] = room.get(name, SHARE * physical_memory()) - needed
            except ConfigError:  # it will say so when it runs
                pass
        found.setdefault(name, []).append(i)
    return list(found.values())


def check_folders(jobs: Sequence[Job], swept: sweep.Sweep) -> None:
    """Each job has a folder of its own in which no run is, and all keep their results in one place:
    raises `ConfigError` before any job has begun."""
    seen: dict[Path, Job] = {}
    for job in jobs:
        swept.check_place(job.composed)
        check_free(job.directory, JOB_KEY)
        other = seen.setdefault(job.directory.absolute(), job)
        if other is not job:
            raise ConfigError(
                f"{JOB_KEY}: jobs {other.number} and {job.number} would both have the folder "
                f"{shown(job.directory)}; add what tells them apart, such as ${{hydra.job.num}}."
            )


def begin(swept: sweep.Sweep, number: int, directory: Path) -> None:
    """Take the folder of a job, and list the job in the sweep's journal. Raises `ConfigError`."""
    claim_job(directory, JOB_KEY)
    note_job(Path(swept.directory), number, directory)


def run_together(jobs: Sequence[Job]) -> list[float]:
    """Train the jobs of one group as replicas of one program: their losses, NaN for a failure."""
    from harness.runs.run import Identity, carry_out
    from harness.sweeps.cotraining import SharedTraining, draw
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

    def ended(i: int, found: Any) -> None:
        if isinstance(found, Exception):
            note_failure(swept, jobs[i].number, jobs[i].directory, jobs[i].overrides, found)
        else:
            losses[i] = report(found)

    works = [partial(work, plan, job) for plan, job in zip(plans, jobs, strict=True)]
    SharedTraining(plans, load_backend(config.backend)).train(works, ended)
    return losses


def run_alone(config: Config, directory: Path, overrides: list[str], swept: sweep.Sweep) -> float:
    """One job by itself; its loss."""
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
    """Say how a job ended well; its loss."""
    from harness.runs.summary import headline

    log.info("   %s: loss %.6g", headline(result), result.loss)
    return result.loss


def note_failure(
    swept: sweep.Sweep, number: int, directory: Path, overrides: list[str], error: Exception
) -> None:
    """Say it now, and leave it for the table at the end of the sweep: in the job's journal, or in
    the sweep's where the folder belongs to another run."""
    name, command = swept.job_name(overrides), provenance.command(overrides)
    log.error("   %s failed: %s", name, error)
    if isinstance(error, FolderTaken):
        facts = {"number": number, "name": name, "command": command, "error": str(error)}
        append(Path(swept.directory), "refused", **facts)
    elif last(directory, "end") is None:
        journal = Journal(directory)
        journal.write("refused", name=name, command=command)
        journal.write("end", status="FAILED", error=str(error))
        journal.close()
