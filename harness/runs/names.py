"""The name of a run that is no part of a sweep."""

from harness.config.schema import Config


def single_name(config: Config, overrides: list[str]) -> str:
    """Return task, backend, cell and seeds, such as `sum·torch·rnn·s0`, and a few typed values.

    These are the first three that were typed for dotted keys, such as `lr=0.1`. Where a run is
    tracked is no part of its name.
    """
    seeds = f"s{config.seed}" + (
        f"-{config.seed + config.replicas - 1}" if config.replicas > 1 else ""
    )
    pairs = [override.partition("=")[::2] for override in overrides]
    named = [pair for pair in pairs if "." in pair[0] and not pair[0].startswith("tracking.")]
    dotted = [f"{key.split('.')[-1]}={value}" for key, value in named]
    resumed = ["resumed"] if config.resume is not None else []
    words = [config.task.name, config.backend.name, config.model.cell, seeds, *resumed]
    return "·".join([*words, *dotted[:3]])
