"""`hydra/launcher=batched`: train jobs of a sweep together that can share a program.

Hydra finds launchers in this folder only; `harness/sweeps/jobs.py` does the work. Jobs that can
share with no other are run as by Hydra's basic launcher.
"""

from collections.abc import Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from omegaconf import DictConfig, open_dict

from harness.config.composer import sweep_composer, without_hydra
from harness.sweeps import sweep
from harness.sweeps.jobs import Job, check_folders, groups, run_together
from harness.system.compiled_programs import free_if_many


class BatchedLauncher(BasicLauncher):
    """A launcher that trains jobs together; constructor and `setup` are the basic launcher's."""

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs, and return their results in the order of `job_overrides`."""
        setup_globals()
        assert self.config is not None
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        assert self.hydra_context is not None
        composer = sweep_composer(self.hydra_context.config_loader, self.config)
        numbered = enumerate(job_overrides, initial_job_idx)
        composed = [_numbered(composer(overrides), number) for number, overrides in numbered]
        jobs = [_job(config) for config in composed]
        swept = sweep.current()
        assert swept is not None
        check_folders(jobs, swept)
        # A job whose current directory is its own folder cannot be trained together with others.
        alone = bool(self.config.hydra.job.chdir)
        returns: dict[int, JobReturn] = {}
        for group in [[i] for i in range(len(jobs))] if alone else groups(jobs):
            free_if_many()
            first = composed[group[0]]
            if len(group) == 1:
                returns[group[0]] = self._alone(first)
                continue
            HydraConfig.instance().set_config(first)  # the command line, for the record
            losses = run_together([jobs[i] for i in group])
            returns |= {
                i: _returned(composed[i], loss) for i, loss in zip(group, losses, strict=True)
            }
        return [returns[i] for i in range(len(jobs))]

    def _alone(self, config: DictConfig) -> JobReturn:
        assert self.hydra_context is not None
        assert self.task_function is not None
        result = run_job(
            hydra_context=self.hydra_context,
            task_function=self.task_function,
            config=config,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
        assert self.config is not None
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return result


def _numbered(config: DictConfig, number: int) -> DictConfig:
    with open_dict(config):
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
    return config


def _job(config: DictConfig) -> Job:
    """Return a job as `harness/sweeps/jobs.py` describes it."""
    sweep = config.hydra.sweep
    overrides = [str(word) for word in config.hydra.overrides.task]
    directory = Path(sweep.dir) / sweep.subdir
    return Job(
        number=config.hydra.job.num,
        overrides=overrides,
        directory=directory,
        composed=without_hydra(config),
    )


def _returned(config: DictConfig, loss: float) -> JobReturn:
    result = JobReturn(overrides=list(config.hydra.overrides.task), cfg=config)
    result.return_value, result.status = loss, JobStatus.COMPLETED
    return result
