"""Estimate what jobs cost, to decide how many worker processes are worth their start.

The numbers are rough means of what was measured on one machine of two cores; elsewhere they err by
a factor of two, and by more where a kernel is unusually good or bad. Earlier runs of the same shape
on this machine say better how long an update takes, and how much memory a process. A wrong estimate
costs time, and no result depends on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from harness.core.model import operations_per_step
from harness.runs.cost import Size, sample_count, shape_key
from harness.runs.earlier_costs import Cost, measured_memory, measured_seconds
from harness.training.memory_check import required_memory
from harness.training.plan import Plan

# Seconds per update and replica besides arithmetic, with some 30 replicas in a program.
OVERHEAD = {"numpy": 45e-6, "torch": 80e-6, "keras": 130e-6, "jax": 40e-6}
OPERATIONS = {"float32": 15e9, "float64": 7e9}  # per second, of small matrices
# Seconds of a process until it trains: imports and the first program.
START = {"numpy": 1.5, "torch": 5.0, "keras": 10.0, "jax": 5.0}
# Seconds of the processor for a run besides its training: files, pictures, the way to MLflow.
FILES, PICTURES, MLFLOW = 0.08, 0.13, 0.11


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one job costs besides the start of its process."""

    seconds: float = 0.0  # of training, on one core
    bytes: int = 0  # by a formula, besides those of its process
    backend: str = "numpy"
    size: Size = field(default_factory=Size)  # with its own replicas alone
    updates: int = 0  # of all its replicas
    runs: int = 0  # earlier ones that the time comes from
    # Bytes of a process in which so many replicas like this job's trained, as far as measured.
    peaks: Mapping[int, float] = field(default_factory=dict[int, float])


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a sweep needs of those that carry it out."""

    jobs: Sequence[Estimate]
    threads: int  # of each process
    gpus: Sequence[str]  # of this machine, where jobs can use them


def estimate(plan: Plan) -> Estimate:
    """Return the estimated cost of a job."""
    config = plan.config
    batch, steps = plan.execution.batch, plan.splits.train.x.shape[2]
    operations = batch * steps * operations_per_step(plan.model)
    each = operations / OPERATIONS[config.precision] + OVERHEAD.get(config.backend.name, 1e-3)
    updates = plan.execution.updates * config.replicas
    return Estimate(
        seconds=updates * each,
        bytes=required_memory(config),
        backend=config.backend.name,
        size=Size(shape=shape_key(plan), samples=sample_count(plan), replicas=config.replicas),
        updates=updates,
    )


def from_runs(rough: Estimate, costs: Sequence[Cost], together: int) -> Estimate:
    """Return the estimate of a job by earlier runs like it, as far as there are any.

    It is to train with `together` replicas, its own included.
    """
    size = replace(rough.size, replicas=together)
    seconds = measured_seconds(costs, size)
    found = replace(rough, peaks=measured_memory(costs, size))
    if not seconds:
        return found
    return replace(found, seconds=rough.updates * median(seconds), runs=len(seconds))


def seconds_in_one_process(jobs: Sequence[Estimate], threads: int, cores: int) -> float:
    """Return the estimated time of a sweep that trains in the program itself, in `threads`.

    Two processes draw its pictures, and one writes to MLflow.
    """
    training, files, pictures, mlflow = _work(jobs)
    own = training / threads + files
    return _start(jobs) + max(own, mlflow, (training + files + pictures + mlflow) / cores)


def seconds_in_workers(jobs: Sequence[Estimate], workers: int, threads: int, cores: int) -> float:
    """Return the estimated time of a sweep in worker processes of `threads` each.

    Each worker loads its frameworks and draws its own pictures; one process writes to MLflow.
    """
    start, (training, files, pictures, mlflow) = _start(jobs), _work(jobs)
    own = start + (training / threads + files + pictures) / workers
    shared = (workers * start + training + files + pictures + mlflow) / cores
    return START["numpy"] + max(own, mlflow, shared)


def _work(jobs: Sequence[Estimate]) -> tuple[float, float, float, float]:
    """Return the seconds of training, of files, of pictures and of MLflow."""
    training, count = sum(job.seconds for job in jobs), len(jobs)
    return training, count * FILES, count * PICTURES, count * MLFLOW


def _start(jobs: Sequence[Estimate]) -> float:
    return sum(START.get(name, START["torch"]) for name in {job.backend for job in jobs})
