"""The kernel `sharded`: each batch in equal parts, one for each thread, whose gradients' mean is
the batch's."""

from backends import Data, Execution
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec


def check_shards(model: ModelSpec, data: Data, execution: Execution) -> None:
    """Raise `ConfigError` where a run's batches have no equal parts for its threads."""
    threads = execution.threads_each
    if data.mask is not None and model.every_step:
        refuse("parts of a batch differ in their number of real time steps")
    if threads < 2:
        refuse(f"needs threads=2 or more, got {threads}")
    if execution.batch % threads:
        refuse(f"threads={threads} does not divide trainer.batch_size={execution.batch}")


def refuse(reason: str) -> None:
    """Raise `ConfigError` for the kernel."""
    raise ConfigError(f"backend.kernel=sharded: {reason}; use backend.kernel=auto.")
