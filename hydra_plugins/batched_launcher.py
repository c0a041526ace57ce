"""The launchers `batched`, `ray` and `slurm`: train jobs together that can share a program.

Hydra finds launchers in this folder only; `harness/sweeps/launch.py` does the work. With
`hydra.job.chdir` or `hydra.job.env_set` jobs are run one by one, as by Hydra's basic launcher.
"""

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from omegaconf import DictConfig, OmegaConf, open_dict

from harness.config.composer import Composer, sweep_composer
from harness.config.parsing import resolved
from harness.core.errors import ConfigError
from harness.sweeps.batches import Batch, Batches, OneBatch
from harness.sweeps.engines.local import LocalWorkers
from harness.sweeps.engines.ray_workers import RayWorkers
from harness.sweeps.engines.slurm import SlurmWorkers
from harness.sweeps.job_launcher import has_units
from harness.sweeps.jobs import Job, own_overrides
from harness.sweeps.launch import launch
from harness.sweeps.listed_jobs import naming_item
from harness.sweeps.work import Losses

ENGINES = {"local": LocalWorkers, "ray": RayWorkers, "slurm": SlurmWorkers}


class BatchedLauncher(BasicLauncher):
    """A launcher that trains jobs together, by `engine`, one of `ENGINES`, with its settings."""

    def __init__(self, engine: str, **settings: Any) -> None:
        super().__init__()
        self._workers = partial(ENGINES[engine], **settings)

    @property
    def takes_more(self) -> bool:
        """Whether jobs may be added while others run."""
        assert self.config is not None
        return has_units(self.config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs, and return their results in the order of `job_overrides`."""
        if not self.takes_more:
            self._workers()  # wrong settings are told all the same
            return super().launch(job_overrides, initial_job_idx)
        batch = Batch(initial_job_idx, job_overrides)
        losses = self.carry_out(OneBatch(batch))
        return [
            _returned(overrides, losses.get(number, float("nan")))
            for number, overrides in zip(batch.numbers, job_overrides, strict=True)
        ]

    def carry_out(self, batches: Batches) -> Losses:
        """Carry out batches of jobs; return the loss of each job."""
        assert self.config is not None
        workers = self._workers()
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        before = HydraConfig.instance().cfg
        try:
            return launch(batches, workers, self._jobs)
        finally:
            HydraConfig.instance().cfg = before

    def _jobs(self, batch: Batch) -> list[Job]:
        assert self.config is not None
        jobs = [
            composed_job(self._composer, self.config, number, overrides)
            for number, overrides in zip(batch.numbers, batch.overrides, strict=True)
        ]
        HydraConfig.instance().set_config(self.config)  # the command line, for the record
        return jobs

    @cached_property
    def _composer(self) -> Composer:
        assert self.hydra_context is not None
        assert self.config is not None
        return sweep_composer(self.hydra_context.config_loader, self.config)


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


def _returned(overrides: Sequence[str], loss: float) -> JobReturn:
    result = JobReturn(overrides=overrides)
    result.return_value, result.status = loss, JobStatus.COMPLETED
    return result
