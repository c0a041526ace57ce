"""Decide how many worker processes a sweep gets, where `hydra.launcher.workers=auto`."""

from collections.abc import Sequence

from harness.sweeps.estimates import Estimate, seconds_in_one_process, seconds_in_workers
from harness.sweeps.memory_estimates import bytes_together, process_bytes
from harness.system.physical_memory import physical_memory
from harness.system.processor import usable_cores

GAIN = 0.9  # of the time in one process: less is not worth several
MEMORY_SHARE = 0.75  # of the machine's memory that all workers may need


def worker_count(jobs: Sequence[Estimate], threads: int, cores: int | None = None) -> int:
    """Return the number of worker processes that ends a sweep first; 1 is the program itself.

    `threads` are those that each worker may use.
    """
    if not jobs:
        return 1
    cores = cores or usable_cores()
    fitting = int(MEMORY_SHARE * physical_memory() / _bytes_per_worker(jobs))
    most = min(max(1, cores // threads), len(jobs), max(1, fitting))
    best, shortest = 1, GAIN * seconds_in_one_process(jobs, threads, cores)
    for workers in range(2, most + 1):
        seconds = seconds_in_workers(jobs, workers, threads, cores)
        if seconds < shortest:
            best, shortest = workers, seconds
    return best


def _bytes_per_worker(jobs: Sequence[Estimate]) -> float:
    return process_bytes(jobs) + max(bytes_together([job]) for job in jobs)
