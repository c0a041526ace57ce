"""The kernels, each with numbers of threads, among which a run may choose."""

from dataclasses import dataclass, replace

from backends import Execution
from harness.system.processor import own_cores
from harness.training.kernel_choice.workload import Workload
from harness.training.kernel_figures import in_words
from harness.training.replica_chunks import slices_for, threads_used


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kernel with the threads that compute at once, and the estimated seconds of its start."""

    execution: Execution
    threads: int
    start: float

    @property
    def kernel(self) -> str:
        """The name of the kernel."""
        return self.execution.kernel

    def __str__(self) -> str:
        """Return it in words."""
        return in_words(self.kernel, self.threads)


def candidates(work: Workload) -> list[Candidate]:
    """Return all candidates, the one that starts soonest first."""
    found: list[Candidate] = []
    for kernel, start_up in work.config.backend.start_ups.items():
        start = start_up.estimate(work.cells, work.replicas)
        for execution in _executions(work, kernel):
            threads = threads_used(
                work.model, work.replicas, execution, work.config.backend.epoch_is_a_call
            )
            found.append(Candidate(execution=execution, threads=threads, start=start))
    return sorted(found, key=lambda each: each.start)


def _executions(work: Workload, kernel: str) -> list[Execution]:
    """Return the kernel's execution with one thread and with all, where there is that choice.

    Chunks of replicas use all threads anyway.
    """
    execution, config = replace(work.execution, kernel=kernel), work.config
    slices = slices_for(work.model, work.replicas, execution, config.backend.epoch_is_a_call)
    open_threads = config.threads == "auto" and config.backend.sets_threads
    if not open_threads or len(slices) > 1 or own_cores() == 1 or work.on_gpu:
        return [execution]
    return [execution, replace(execution, each=own_cores())]
