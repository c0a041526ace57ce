"""Launch the jobs of a sweep: form units, decide on the workers, begin the record, carry out.

The workers stay for all batches of jobs, and what a batch needs is done when it begins.
"""

import math
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from harness.config.compose import own_folders
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.sweeps import sweep
from harness.sweeps.batches import Batch, Batches
from harness.sweeps.estimates import Demand
from harness.sweeps.expected_jobs import ExpectedJob, expected_jobs
from harness.sweeps.jobs import Job, check_folders
from harness.sweeps.prepared_jobs import recorded_loss
from harness.sweeps.preview import SweepPlan, show_idle_workers, show_plan
from harness.sweeps.sweep_progress import SweepProgress
from harness.sweeps.units import WorkUnit, groups, work_units
from harness.sweeps.work import Losses
from harness.sweeps.workers import Workers
from harness.system.gpu import gpu_names
from harness.tracking import mlflow_process
from harness.tracking.launched_jobs import LaunchedJob, record_job

Compose = Callable[[Batch], Sequence[Job]]


def launch(batches: Batches, workers: Workers, compose: Compose) -> Losses:
    """Carry out batches of jobs; return the loss of each job, NaN where it failed.

    Raises `ConfigError` where no job may begin, and `KeyboardInterrupt` for a stop.
    """
    return _Launch(batches, workers, compose).carry_out()


class _Launch:
    """The jobs of a sweep, which become units batch by batch."""

    def __init__(self, batches: Batches, workers: Workers, compose: Compose) -> None:
        swept = sweep.current()
        assert swept is not None
        self.swept = replace(swept, own_folders=own_folders())
        self.batches, self.workers, self.compose = batches, workers, compose
        self.losses = Losses()
        self.slots = 1

    def carry_out(self) -> Losses:
        """Carry out all batches, when those that begin first have been shown."""
        first = list(iter(lambda: self._expected(()), None))
        jobs = [each for batch in first for each in batch]
        if not jobs:
            return {}
        self._check(jobs)
        plan = self._plan(first, jobs)
        show_plan(plan, self.swept)
        show_idle_workers(self.swept, self.batches, len(plan.units), self.slots)
        if self.swept.is_dry_run:
            return {}
        self._begin(jobs)
        units = [*plan.units, *self._more({})]
        if not units:
            return self.losses
        demand = plan.demand
        with SweepProgress(Path(self.swept.directory), len(demand.jobs)):
            return self.losses | self.workers.carry_out(units, self._more, plan.workers, demand)

    def _plan(
        self, first: Sequence[Sequence[ExpectedJob]], jobs: Sequence[ExpectedJob]
    ) -> SweepPlan:
        """Decide on the workers, and cut the batches that begin first into units."""
        demand = self._demand(jobs)
        self.slots = self.workers.count(demand)
        units = [unit for batch in first for unit in self._units(batch)]
        known_all = len(jobs) == self.batches.total
        most = len(units) if known_all else self.batches.size * self.batches.outstanding
        count = max(1, min(self.slots, most))
        return SweepPlan(
            jobs=jobs,
            units=units,
            workers=count,
            demand=demand,
            cores=self.workers.cores(count, demand.threads),
            place=self.workers.place(count),
        )

    def _expected(self, ended: Container[int]) -> list[ExpectedJob] | None:
        """Return what is known of the jobs of the next batch; None where none may begin now."""
        batch = self.batches.next(ended)
        return None if batch is None else expected_jobs(self.compose(batch), self.swept)

    def _check(self, jobs: Sequence[ExpectedJob]) -> None:
        """Raise `ConfigError` where the folder of a job that is to begin cannot be its own."""
        new = [each.job for each in jobs if each.finished is None and each.begun is None]
        check_folders(new, self.swept)

    def _demand(self, jobs: Sequence[ExpectedJob]) -> Demand:
        """Return what all batches need, if those to come are like the `jobs` that begin first."""
        left = [each for each in jobs if each.finished is None]
        configs = _valid_configs([each.job for each in left or jobs])
        coming = islice(cycle(jobs), self.batches.total - len(jobs))
        return Demand(
            jobs=[each.estimate for each in (*left, *coming)],
            threads=max((config.least_threads for config in configs), default=1),
            gpus=gpu_names() if any(map(_uses_gpu, configs)) else [],
        )

    def _units(self, batch: Sequence[ExpectedJob]) -> list[WorkUnit]:
        """Cut the jobs of a batch that are to run into units for its share of the slots."""
        left = [each for each in batch if each.finished is None]
        share = math.ceil(self.slots / self.batches.outstanding)
        return work_units(groups(left, self.slots), self.swept, share)

    def _begin(self, jobs: Sequence[ExpectedJob]) -> None:
        """Get the record of jobs ready, and let finished runs stand for theirs."""
        _begin_record(self.swept, _valid_configs(each.job for each in jobs), self.workers.waits)
        finished = [each for each in jobs if each.finished is not None]
        self.losses |= {each.job.number: _reuse(each, self.swept) for each in finished}

    def _more(self, losses: Losses) -> list[WorkUnit]:
        """Return the units of all batches that may begin now that jobs have these losses."""
        self.losses |= losses
        units: list[WorkUnit] = []
        while (batch := self._expected(self.losses)) is not None:
            self._check(batch)
            self._begin(batch)
            units += self._units(batch)
        return units


def _reuse(each: ExpectedJob, swept: sweep.Sweep) -> float:
    """Let a finished run stand for a job; return its loss."""
    assert each.finished is not None
    job = LaunchedJob(each.job.number, each.finished, reused=not swept.resumes)
    if job.reused:
        record_job(Path(swept.directory), job.number, job.folder, reused=True)
    return recorded_loss(job, Path(swept.directory))


def _valid_configs(jobs: Iterable[Job]) -> list[Config]:
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
