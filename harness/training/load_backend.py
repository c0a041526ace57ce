"""Load the constructor of a run's backend: its class, or its class in chunks of replicas."""

from functools import partial

from backends import BackendFactory
from harness.config.backend import BackendConfig
from harness.training.replica_chunks import in_chunks


def load_backend(config: BackendConfig) -> BackendFactory:
    """Import the framework; return a constructor that splits many replicas into chunks.

    Raises `ConfigError` if the framework cannot be imported.
    """
    return partial(in_chunks, config.imported(), config.epoch_is_a_call)
