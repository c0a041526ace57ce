"""The launchers `batched`, `ray` and `slurm`: train jobs together that can share a program.

Hydra finds launchers in this folder only; `harness/sweeps/launch.py` does the work. With
`hydra.job.chdir` or `hydra.job.env_set` jobs are run one by one, as by Hydra's basic launcher.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from harness.config.composer import Composer, sweep_composer
from harness.config.parsing import resolved
from harness.core.errors import ConfigError
from harness.sweeps.engines.local import LocalWorkers
from harness.sweeps.engines.ray_workers import RayWorkers
from harness.sweeps.engines.slurm import SlurmWorkers
from harness.sweeps.jobs import Job, own_overrides
from harness.sweeps.launch import launch
from harness.sweeps.listed_jobs import naming_item

ENGINES = {"local": LocalWorkers, "ray": RayWorkers, "slurm": SlurmWorkers}


class BatchedLauncher(BasicLauncher):
    """A launcher that trains jobs together, by `engine`, one of `ENGINES`, with its settings."""

    def __init__(self, engine: str, **settings: Any) -> None:
        super().__init__()
        self._workers = partial(ENGINES[engine], **settings)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs, and return their results in the order of `job_overrides`."""
        assert self.config is not None
        workers = self._workers()
        if self.config.hydra.job.chdir or self.config.hydra.job.env_set:
            return super().launch(job_overrides, initial_job_idx)
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        before = HydraConfig.instance().cfg
        try:
            jobs = self._jobs(job_overrides, initial_job_idx)
            HydraConfig.instance().set_config(self.config)  # the command line, for the record
            losses = launch(jobs, workers)
        finally:
            HydraConfig.instance().cfg = before
        return [_returned(job, losses.get(job.number, float("nan"))) for job in jobs]

    def _jobs(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[Job]:
        assert self.hydra_context is not None
        assert self.config is not None
        composer = sweep_composer(self.hydra_context.config_loader, self.config)
        return [
            composed_job(composer, self.config, number, overrides)
            for number, overrides in enumerate(job_overrides, initial_job_idx)
        ]


def composed_job(
    composer: Composer, sweep: DictConfig, number: int, overrides: Sequence[str]
) -> Job:
    """Compose a job of `sweep`, the configuration before its split into jobs.

    Raises what Hydra raises. The jobs of a sweep file are meant as they stand there, so each is
    checked, and what is wrong is a `ConfigError` that names its item.
    """
    with naming_item(sweep, number, overrides) as is_listed:
        job = _job(composer(overrides), number)
        if is_listed and not job.resumes:
            _ = job.config
    return job


def _job(config: DictConfig, number: int) -> Job:
    """Return a composed job as plain data."""
    with open_dict(config):
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
    try:
        settings = resolved(config)
    except ConfigError:  # perhaps it needs a setting of Hydra's own
        HydraConfig.instance().set_config(config)
        settings = resolved(config)
    typed: Any = OmegaConf.to_container(config.hydra.overrides.task)  # not resolved
    return Job(
        number=number,
        overrides=own_overrides(typed),
        directory=Path(config.hydra.sweep.dir) / config.hydra.sweep.subdir,
        settings=settings,
    )


def _returned(job: Job, loss: float) -> JobReturn:
    result = JobReturn(overrides=job.overrides)
    result.return_value, result.status = loss, JobStatus.COMPLETED
    return result
