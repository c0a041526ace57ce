"""Units and workers: every job is in one unit, and no worker waits long for the last one."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.sweeps.engines.local import LocalWorkers
from harness.sweeps.estimates import Demand, Estimate, estimate
from harness.sweeps.jobs import Job
from harness.sweeps.sweep import Sweep
from harness.sweeps.units import Group, makespan, work_units
from harness.sweeps.worker_count import worker_count
from harness.training.plan import prepare
from tests.support.configs import config

SWEEP = Sweep(directory="sw", arguments=[], varying=[], total=0, results="results", uri=None)


def group(seconds: list[float], first: int = 0) -> Group:
    found = Group()
    for number, cost in enumerate(seconds, first):
        job = Job(number=number, overrides=[], directory=Path(str(number)), settings={})
        found.add(job, Estimate(seconds=cost))
    return found


@pytest.mark.parametrize("workers", [1, 2, 3, 16])
def test_every_job_is_in_one_unit(workers: int) -> None:
    found = [group([1.0] * 40), group([5.0] * 3, 40), group([0.0] * 2, 43)]
    units = work_units(found, SWEEP, workers)
    assert sorted(job.number for unit in units for job in unit.jobs) == list(range(45))
    together = [{job.number < 40 for job in unit.jobs} for unit in units]
    assert all(len(kinds) == 1 for kinds in together), "groups are not mixed"


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_no_worker_runs_alone_for_long(workers: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        sizes = rng.integers(1, 5, size=rng.integers(1, 6))
        found = [group([float(rng.uniform(0.5, 2))] * 32 * int(size)) for size in sizes]
        units = work_units(found, SWEEP, workers)
        seconds = [unit.seconds for unit in units]
        assert all(a >= b for a, b in pairwise(seconds)), "the longest begin first"
        assert makespan(units, workers) <= 1.25 * sum(seconds) / workers


def test_equal_jobs_are_cut_into_as_few_units_as_there_are_workers() -> None:
    units = work_units([group([1.0] * 32)], SWEEP, 2)
    assert [[job.number for job in unit.jobs] for unit in units] == [
        list(range(16)),
        list(range(16, 32)),
    ]
    assert len(work_units([group([1.0] * 3)], SWEEP, 2)) == 2, "three units would take as long"


def test_one_worker_has_whole_groups_in_their_order() -> None:
    units = work_units([group([1.0] * 3), group([9.0], 3)], SWEEP, 1)
    assert [[job.number for job in unit.jobs] for unit in units] == [[0, 1, 2], [3]]


def test_a_unit_is_taken_apart_job_by_job() -> None:
    [unit] = work_units([group([1.0] * 4)], SWEEP, 1)
    singles = unit.singly()
    assert [[job.number for job in single.jobs] for single in singles] == [[0], [1], [2], [3]]
    assert sum(single.seconds for single in singles) == unit.seconds


def test_training_that_takes_long_is_spread_and_tiny_jobs_are_not() -> None:
    tiny = [Estimate(seconds=0.1)] * 256
    assert worker_count(tiny, threads=1, cores=2) == 1
    long = [Estimate(seconds=60.0)] * 32
    assert worker_count(long, threads=1, cores=2) == 2
    assert worker_count(long, threads=2, cores=2) == 1, "its threads use both cores"
    assert worker_count(long, threads=1, cores=8) == 8
    assert worker_count(long[:3], threads=1, cores=8) == 3
    assert worker_count([], threads=1, cores=8) == 1


def test_workers_have_to_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.sweeps.worker_count.physical_memory", lambda: 4 * 10**9)
    long = [Estimate(seconds=60.0, bytes=8 * 10**8)] * 32
    assert worker_count(long, threads=1, cores=8) == 3
    measured = [Estimate(seconds=60.0, bytes=8 * 10**8, peaks={1: 1.4e9})] * 32
    assert worker_count(measured, threads=1, cores=8) == 2, "a process took that much before"


def test_an_estimate_grows_with_what_a_job_does() -> None:
    base = ["task.samples=100", "trainer.epochs=2"]
    [small] = [estimate(prepare(config(*base)))]
    for more in ("trainer.epochs=4", "replicas=2"):
        assert estimate(prepare(config(*base, more))).seconds == pytest.approx(2 * small.seconds)
    for more in ("model=lstm", "model.units=64", "task.length=40", "precision=float64"):
        assert estimate(prepare(config(*base, more))).seconds > small.seconds


@pytest.mark.parametrize("setting", [0, -1, "all", 1.5, True, None])
def test_a_wrong_number_of_workers_is_refused(setting: object) -> None:
    with pytest.raises(ConfigError, match=r"workers=.*: must be auto or a whole number"):
        LocalWorkers(workers=setting, per_gpu=1)  # pyright: ignore[reportArgumentType]


def test_workers_are_spread_over_gpus() -> None:
    demand = Demand(jobs=[Estimate(seconds=60.0)] * 32, threads=1, gpus=["0", "1", "2"])
    assert LocalWorkers(workers="auto", per_gpu=2).count(demand) == 6
    assert LocalWorkers(workers=4, per_gpu=2).count(demand) == 4
    with pytest.raises(ConfigError, match=r"per_gpu=0: must be a whole number of at least 1"):
        LocalWorkers(workers="auto", per_gpu=0)
