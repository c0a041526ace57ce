"""Where a run is trained, and in how many threads, which `threads=auto` leaves to the harness.

A process may keep its cores busy: all of the machine's, or a worker's share of them. Replicas in
chunks always use them, one thread for each chunk, so that no number depends on how many there are.
Everything else has one thread, unless more have been measured to be faster (`kernel_choice`).
"""

from backends import Execution
from harness.config.schema import Config
from harness.system.processor import own_cores


def execution_of(config: Config, updates: int = 0, batch: int = 0) -> Execution:
    """Return where a configuration is trained, with so many updates of `batch` samples each."""
    threads, each = _threads(config)
    return Execution(
        device=config.device,
        threads=threads,
        each=each,
        kernel=config.backend.kernel,
        updates=updates,
        batch=batch,
    )


def _threads(config: Config) -> tuple[int, int]:
    """Return the threads of all chunks and of each chunk, where 0 is an equal share."""
    if isinstance(config.threads, int):
        return config.threads, 0
    if config.backend.kernel == "sharded":  # which needs them
        return own_cores(), 0
    # The pool of JAX or Keras is fixed as they start: long runs get all cores (`kernel_choice`).
    return (own_cores(), 1) if config.backend.sets_threads else (1, 0)
