"""Launch the jobs of a sweep: form units, decide on the workers, begin the record, carry out."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.config.compose import own_folders
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.sweeps import sweep
from harness.sweeps.driver import Driver
from harness.sweeps.estimates import Estimate
from harness.sweeps.expected_jobs import ExpectedJob, expected_jobs
from harness.sweeps.jobs import Job, check_folders
from harness.sweeps.prepared_jobs import recorded_loss
from harness.sweeps.preview import show_plan
from harness.sweeps.sweep_progress import SweepProgress
from harness.sweeps.units import WorkUnit, groups, work_units
from harness.sweeps.work import Losses, carry_out_unit
from harness.sweeps.worker_count import worker_count
from harness.system.gpu import gpu_names
from harness.tracking import mlflow_process
from harness.tracking.launched_jobs import LaunchedJob, record_job


@dataclass(frozen=True)
class Workers:
    """Settings of the launcher: `hydra.launcher.workers` and `.per_gpu`. Raises `ConfigError`."""

    number: int | str  # or auto
    per_gpu: int = 1

    def __post_init__(self) -> None:
        for name, value in (("workers", self.number), ("per_gpu", self.per_gpu)):
            is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not is_number and (name, value) != ("workers", "auto"):
                valid = "auto or a whole number" if name == "workers" else "a whole number"
                raise ConfigError(f"hydra.launcher.{name}={value}: must be {valid} of at least 1.")

    def count(self, jobs: Sequence[Estimate], threads: int, gpus: int) -> int:
        """Return the number of worker processes for jobs that can use so many GPUs."""
        if isinstance(self.number, int):
            return self.number
        return gpus * self.per_gpu if gpus else worker_count(jobs, threads)


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
    configs = _valid_configs([each.job for each in left])
    gpus = gpu_names() if any(map(_uses_gpu, configs)) else []
    threads = max((config.threads for config in configs), default=1)
    count = workers.count([each.estimate for each in left], threads, len(gpus))
    units = work_units(groups(left, count), swept, count)
    count = max(1, min(count, len(units)))
    show_plan(expected, units, count, threads, swept)
    if swept.is_dry_run:
        return {}
    _begin_record(swept, _valid_configs(jobs))
    losses = {each.job.number: _reuse(each, swept) for each in finished}
    if not left:
        return losses
    with SweepProgress(Path(swept.directory), len(left)):
        return losses | (_in_this_process(units) if count == 1 else _in_workers(units, count, gpus))


def _in_workers(units: Sequence[WorkUnit], workers: int, gpus: Sequence[str]) -> Losses:
    from harness.sweeps.pool import Pool

    return Driver(Pool(workers, gpus)).run(units)


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


def _begin_record(swept: sweep.Sweep, configs: Sequence[Config]) -> None:
    """Begin the sweep's record, and let MLflow's process follow it. Raises `ConfigError`."""
    for config in {each.experiment_name: each for each in configs}.values():
        mlflow_process.get_ready(config.tracking, config.experiment_name, Path(config.results))
    tracked = [config for config in configs if config.tracking.name == "mlflow"]
    directory = sweep.parent(swept, tracked[0]) if tracked else None
    if directory is not None:
        mlflow_process.follow(directory, tracked[0].tracking)


def _in_this_process(units: Sequence[WorkUnit]) -> Losses:
    losses: Losses = {}
    for unit in units:
        losses |= carry_out_unit(unit, shows_progress=not sys.stderr.isatty())
    return losses
