"""Launch the jobs of a sweep: form units, decide on the workers, begin the record, carry out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from harness.config.compose import own_folders
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.sweeps import sweep
from harness.sweeps.estimates import Demand
from harness.sweeps.expected_jobs import ExpectedJob, expected_jobs
from harness.sweeps.jobs import Job, check_folders
from harness.sweeps.prepared_jobs import recorded_loss
from harness.sweeps.preview import SweepPlan, show_plan
from harness.sweeps.sweep_progress import SweepProgress
from harness.sweeps.units import WorkUnit, groups, work_units
from harness.sweeps.work import Losses
from harness.system.gpu import gpu_names
from harness.tracking import mlflow_process
from harness.tracking.launched_jobs import LaunchedJob, record_job


class Workers(Protocol):
    """The settings of a launcher: what carries units out, and how many at once."""

    @property
    def waits(self) -> bool:
        """Whether the program waits for the jobs, and lets MLflow follow them."""
        ...

    def count(self, demand: Demand) -> int:
        """Return how many units are carried out at once. Raises `ConfigError` for none."""
        ...

    def cores(self, count: int, threads: int) -> int:
        """Return the cores that so many workers of so many threads share."""
        ...

    def place(self, count: int) -> str:
        """Describe where, for the line before the start."""
        ...

    def carry_out(self, units: Sequence[WorkUnit], count: int, demand: Demand) -> Losses:
        """Carry out units; return the losses of jobs as far as they are known."""
        ...


def launch(jobs: Sequence[Job], workers: Workers) -> Losses:
    """Carry out jobs; return the loss of each, NaN where it failed.

    Raises `ConfigError` where no job may begin, and `KeyboardInterrupt` for a stop.
    """
    swept = sweep.current()
    assert swept is not None
    swept = replace(swept, own_folders=own_folders())
    expected = expected_jobs(jobs, swept)
    finished = [each for each in expected if each.finished is not None]
    left = [each for each in expected if each.finished is None]
    check_folders([each.job for each in left if each.begun is None], swept)
    demand = _demand(left)
    count = workers.count(demand)
    units = work_units(groups(left, count), swept, count)
    count = max(1, min(count, len(units)))
    cores = workers.cores(count, demand.threads)
    plan = SweepPlan(
        jobs=expected,
        units=units,
        workers=count,
        threads=demand.threads,
        cores=cores,
        place=workers.place(count),
    )
    show_plan(plan, swept)
    if swept.is_dry_run:
        return {}
    _begin_record(swept, _valid_configs(jobs), workers.waits)
    losses = {each.job.number: _reuse(each, swept) for each in finished}
    if not left:
        return losses
    with SweepProgress(Path(swept.directory), len(left)):
        return losses | workers.carry_out(units, count, demand)


def _demand(jobs: Sequence[ExpectedJob]) -> Demand:
    configs = _valid_configs([each.job for each in jobs])
    return Demand(
        jobs=[each.estimate for each in jobs],
        threads=max((config.threads for config in configs), default=1),
        gpus=gpu_names() if any(map(_uses_gpu, configs)) else [],
    )


def _reuse(each: ExpectedJob, swept: sweep.Sweep) -> float:
    """Let a finished run stand for a job; return its loss."""
    assert each.finished is not None
    job = LaunchedJob(each.job.number, each.finished, reused=not swept.resumes)
    if job.reused:
        record_job(Path(swept.directory), job.number, job.folder, reused=True)
    return recorded_loss(job, Path(swept.directory))


def _valid_configs(jobs: Sequence[Job]) -> list[Config]:
    configs: list[Config] = []
    for job in jobs:
        try:
            configs.append(job.config)
        except ConfigError:  # reported when the job runs
            continue
    return configs


def _uses_gpu(config: Config) -> bool:
    return config.device != "cpu" and "cuda" in config.backend.devices


def _begin_record(swept: sweep.Sweep, configs: Sequence[Config], follows: bool) -> None:
    """Begin the sweep's record; let MLflow's process follow it, if it `follows`.

    Raises `ConfigError`.
    """
    for config in {each.experiment_name: each for each in configs}.values():
        mlflow_process.get_ready(config.tracking, config.experiment_name, Path(config.results))
    tracked = [config for config in configs if config.tracking.name == "mlflow"]
    directory = sweep.parent(swept, tracked[0]) if tracked else None
    if directory is not None and follows:
        mlflow_process.follow(directory, tracked[0].tracking)
