"""Refuse a run that cannot fit into memory, before its data are drawn.

A lower bound is enough to catch a mistyped number: the samples as they are drawn and stacked, the
weights with their gradient and the optimiser's memory, and the states that backpropagation through
time keeps of one batch. The kernel may kill other processes when one asks for too much memory.

The check is arithmetic only: its own time and memory do not grow with the numbers in it.
"""

from dataclasses import dataclass, replace

from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.model import GATES, count_params
from harness.system.physical_memory import physical_memory
from harness.training.replica_chunks import chunk_count

COPIES = 2  # of the data (as drawn in float64, and as handed over) and of a weight (a checkpoint)
SLOTS = {"sgd": 0, "adam": 2, "rmsprop": 1}  # least number of the optimiser's memories


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The numbers that a run's memory grows with."""

    replicas: int
    samples: int
    probes: int
    steps: int
    features: int
    outputs: int
    units: int
    layers: int
    batch: int


def required_memory(config: Config) -> int:
    """Return a lower bound of the bytes that a run needs."""
    return _bytes(config, _sizes(config))


def check_memory(config: Config) -> None:
    """Raise `ConfigError` for a run that needs more memory than this machine has.

    The message names the setting that would save most, and the next ones where it alone is not
    enough.
    """
    sizes, available = _sizes(config), physical_memory()
    total = required = _bytes(config, sizes)
    blamed: dict[str, int] = {}
    while required > available and any(value > 1 for value in vars(sizes).values()):
        names = [name for name, value in vars(sizes).items() if value > 1]
        without = {name: _bytes(config, replace(sizes, **{name: 1})) for name in names}
        name = min(names, key=lambda name: without[name])
        blamed[name], required = getattr(sizes, name), without[name]
        sizes = replace(sizes, **{name: 1})
    if blamed:
        keys = _keys(config)
        settings = " and ".join(f"{keys[name]}={value}" for name, value in blamed.items())
        raise ConfigError(
            f"{settings}: needs at least {-(-total // 2**30):,} GiB of memory, and this machine "
            f"has {available // 2**30:,}; choose less{' of them' * (len(blamed) > 1)}."
        )


def _keys(config: Config) -> dict[str, str]:
    """Return the key that sets each size; tasks with windows name steps and outputs differently."""
    series = hasattr(config.task, "window")
    return {
        "replicas": "replicas",
        "samples": "task.samples",
        "probes": "task.probe",
        "steps": "task.window" if series else "task.length",
        "features": "task.features",
        "outputs": "task.horizon" if series else "task.outputs",
        "units": "model.units",
        "layers": "model.layers",
        "batch": "trainer.batch_size",
    }


def _sizes(config: Config) -> Sizes:
    """Return the sizes; one that is not known before data are drawn is its least value."""
    keys = _keys(config)

    def task_size(name: str, least: int = 1) -> int:
        value = getattr(config.task, keys[name].partition(".")[2], least)
        # A user's own task may have a field of this name that is something else.
        return value if isinstance(value, int) else least

    return Sizes(
        replicas=config.replicas,
        samples=config.task.samples,
        probes=task_size("probes", 0),
        steps=task_size("steps"),
        features=task_size("features"),
        outputs=task_size("outputs"),
        units=config.model.units,
        layers=config.model.layers,
        batch=config.trainer.batch_size,
    )


def _bytes(config: Config, sizes: Sizes) -> int:
    states = _replicas_at_once(config, sizes) * _states(config, sizes)
    return sizes.replicas * (_data(config, sizes) + _weights(config, sizes)) + states


def _data(config: Config, sizes: Sizes) -> int:
    """Return the bytes of one replica's samples."""
    targets = sizes.outputs * (sizes.steps if config.task.every_step else 1)
    numbers = sizes.steps * sizes.features + targets
    return COPIES * 8 * (sizes.samples + sizes.probes) * numbers


def _weights(config: Config, sizes: Sizes) -> int:
    """Return the bytes of one replica's weights, gradient and optimiser's memories."""
    outputs = sizes.units if config.model.head == "none" else sizes.outputs
    model = replace(config.model, units=sizes.units, layers=sizes.layers)
    spec = model.sized(config.semantics, sizes.features, outputs, returns="last")
    return COPIES * (2 + SLOTS[config.optimizer.name]) * _itemsize(config) * count_params(spec)


def _states(config: Config, sizes: Sizes) -> int:
    """Return the bytes of the gates of all time steps of one replica's batch."""
    return _itemsize(config) * sizes.steps * sizes.layers * _gates(config, sizes)


def _gates(config: Config, sizes: Sizes) -> int:
    """Return the number of one replica's gates in one layer, in one time step of a batch."""
    return min(sizes.batch, sizes.samples) * sizes.units * GATES[config.model.cell]


def _replicas_at_once(config: Config, sizes: Sizes) -> int:
    """Return how many replicas compute at once on a CPU, at least: one chunk per thread."""
    is_call = config.backend.epoch_is_a_call
    chunks = chunk_count(sizes.replicas, _gates(config, sizes), is_call)
    return sizes.replicas * min(config.least_threads, chunks) // chunks


def _itemsize(config: Config) -> int:
    """Return the bytes of one number."""
    return 4 if config.precision == "float32" else 8
