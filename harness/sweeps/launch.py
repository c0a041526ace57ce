"""Launch the jobs of a sweep: form units, decide on the workers, begin the record, carry out."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.config.compose import own_folders
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.sweeps import sweep
from harness.sweeps.driver import Driver
from harness.sweeps.estimates import Estimate
from harness.sweeps.jobs import Job, check_folders
from harness.sweeps.units import WorkUnit, groups, work_units
from harness.sweeps.work import Losses, carry_out_unit
from harness.sweeps.worker_count import worker_count
from harness.system.gpu import gpu_names
from harness.tracking import mlflow_process

log = logging.getLogger(__name__)


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
    check_folders(jobs, swept)
    found = groups(jobs)
    configs = _valid_configs(jobs)
    gpus = gpu_names() if any(map(_uses_gpu, configs)) else []
    threads = max((config.threads for config in configs), default=1)
    count = workers.count([e for group in found for e in group.estimates], threads, len(gpus))
    units = work_units(groups(jobs, count) if count > 1 else found, swept, count)
    _begin_record(swept, configs)
    count = min(count, len(units))
    if count == 1:
        return _in_this_process(units)
    log.info("%d jobs in %d units, in %d worker processes", len(jobs), len(units), count)
    from harness.sweeps.pool import Pool

    return Driver(Pool(count, gpus)).run(units)


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
        losses |= carry_out_unit(unit, shows_progress=True)
    return losses
