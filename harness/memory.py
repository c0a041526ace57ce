"""Refuse what cannot fit into memory before any of it is drawn.

A lower bound is enough to catch a slip of the finger: the samples as they are drawn and stacked,
the weights with their gradient and the optimiser's memory, and the states that backpropagation
through time keeps of one batch. A process that asks for more than there is may take others with it.
"""

import os

from harness.config import Config
from harness.errors import ConfigError
from harness.model import GATES, count
from harness.parts import parts_of

COPIES = 2  # of the data (as drawn in float64, and as handed over) and of a weight (a checkpoint)


def physical_memory() -> int:
    """Bytes of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def required_memory(config: Config) -> int:
    """Bytes that a run needs at least."""
    return sum(_needs(config).values())


def _needs(config: Config) -> dict[str, int]:
    """Bytes, by the setting that decides them."""
    return {
        "task.samples": config.replicas * _data(config),
        "model.units": config.replicas * _weights(config),
        "trainer.batch_size": _replicas_at_once(config) * _states(config),
    }


def check_memory(config: Config) -> None:
    """Raises `ConfigError` for a run that needs more than this machine has."""
    needed, total, there = _needs(config), required_memory(config), physical_memory()
    if total <= there:
        return
    largest = max(needed, key=lambda key: needed[key])
    keys = ["replicas", largest] if config.replicas > 1 else [largest]
    group, _, name = largest.partition(".")
    values = {"replicas": config.replicas, largest: getattr(getattr(config, group), name)}
    named = " and ".join(f"{key}={values[key]}" for key in keys)
    raise ConfigError(
        f"{named}: needs at least {total / 2**30:,.0f} GiB of memory, and this machine has "
        f"{there / 2**30:,.0f}; choose {'less of either' if len(keys) > 1 else 'less'}."
    )


def _data(config: Config) -> int:
    """Bytes of one replica's samples, of one feature and one output at least."""
    task = config.task
    return COPIES * 8 * task.samples * getattr(task, "length", 1)


def _weights(config: Config) -> int:
    """Bytes of one replica's weights, their gradient and the optimiser's two memories, if any."""
    model = config.model
    outputs = model.units if model.head == "none" else 1
    spec = model.sized(config.semantics, features=1, outputs=outputs, returns="last")
    slots = {"sgd": 0, "adam": 2, "rmsprop": 1}[config.optimizer.name]
    return COPIES * (2 + slots) * _width(config) * count(spec)


def _states(config: Config) -> int:
    """Bytes of the gates of all time steps of one replica's batch."""
    cells = getattr(config.task, "length", 1) * config.model.layers * _gates(config)
    return _width(config) * cells


def _gates(config: Config) -> int:
    """Of one replica, in one time step of a batch and one layer."""
    batch = min(config.trainer.batch_size, config.task.samples)
    return batch * config.model.units * GATES[config.model.cell]


def _replicas_at_once(config: Config) -> int:
    """At least, on a CPU: in parts, as many as there are threads."""
    parts = parts_of(config.replicas, _gates(config))
    return sum(own.stop - own.start for own in parts[: config.threads])


def _width(config: Config) -> int:
    """Bytes of a number."""
    return 4 if config.precision == "float32" else 8
