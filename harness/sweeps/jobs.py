"""A job of a sweep: its settings as plain data, its folder, and the record of a failure.

A job never raises an exception to Hydra (see `harness/sweeps/sweep.py`): a failure is logged at
once and written to the job's journal.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from harness.config.overrides import key_of, without_force_add
from harness.config.parsing import from_hydra, from_plain
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.runs import resume
from harness.runs.folders import (
    FolderTaken,
    check_free,
    claim_job,
    is_only_claimed,
    relative_to_cwd,
)
from harness.sweeps.sweep import Sweep
from harness.tracking import provenance
from harness.tracking.journal import last
from harness.tracking.journal_writer import Journal, append
from harness.tracking.launched_jobs import record_job

log = logging.getLogger(__name__)

JOB_KEY = "hydra.sweep.subdir"  # the setting that decides the folder of a job


class FailedFast(KeyboardInterrupt):
    """A stop of all jobs, since one has failed and `sweep.fail_fast=true`."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job of a sweep, as Hydra composed it; plain data, which another process can carry out."""

    number: int
    overrides: list[str]
    directory: Path
    settings: dict[str, Any]  # interpolations are resolved
    failed: Path | None = None  # the folder in which it failed before, and which does not count

    @property
    def resumes(self) -> bool:
        """Whether the job goes on with a run of another sweep or none."""
        return self.settings.get("resume") is not None

    @cached_property
    def config(self) -> Config:
        """The checked configuration of a job that resumes no run. Raises `ConfigError`."""
        return from_plain(self.settings)

    def resumed_config(self) -> Config:
        """Return the configuration of a job that resumes a run, whose folder is claimed.

        Files of that run that only MLflow has are downloaded into it. Raises `ConfigError`.
        """
        composed = OmegaConf.create(self.settings)
        overrides = without_force_add(self.overrides)
        return from_hydra(resume.configuration(composed, overrides, self.directory))


def check_folders(jobs: Sequence[Job], swept: Sweep) -> None:
    """Raise `ConfigError` unless each job has its own folder and all keep results in one place.

    A folder that holds a run is nobody's; beside one that was only claimed, the job has another. No
    job has begun by then.
    """
    first_in: dict[Path, Job] = {}
    for job in jobs:
        swept.check_place(job.settings)
        if not is_only_claimed(job.directory):
            check_free(job.directory, JOB_KEY)
        first = first_in.setdefault(job.directory.absolute(), job)
        if first is not job:
            raise ConfigError(
                f"{JOB_KEY}: jobs {first.number} and {job.number} would both have the folder "
                f"{relative_to_cwd(job.directory)}; add what tells them apart, such as "
                "${hydra.job.num}."
            )


def own_overrides(words: Sequence[str]) -> list[str]:
    """Return the overrides of a job by itself, without those of the sweep as a whole."""
    return [word for word in words if not key_of(word).startswith("sweep.")]


def begin(swept: Sweep, number: int, directory: Path) -> None:
    """Claim the folder of a job, and add the job to the sweep's journal. Raises `ConfigError`."""
    claim_job(directory, JOB_KEY)
    record_job(Path(swept.directory), number, directory)


def report(result: Any) -> float:
    """Log the loss of a finished job; return it."""
    from harness.runs.summary import headline

    log.info("   %s: loss %.6g", headline(result), result.loss)
    return result.loss


def note_failure(
    swept: Sweep, number: int, directory: Path, overrides: list[str], error: Exception
) -> None:
    """Log a failure, and record it for the table at the end of the sweep.

    It is written to the job's journal, or to the sweep's where the folder belongs to another run.
    Raises `FailedFast` where no other job is to go on.
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
    if swept.fails_fast:
        raise FailedFast(f"{name} failed, and sweep.fail_fast=true")
