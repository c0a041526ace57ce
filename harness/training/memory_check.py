"""Refuse what cannot fit into memory before any of it is drawn.

A lower bound is enough to catch a slip of the finger: the samples as they are drawn and stacked,
the weights with their gradient and the optimiser's memory, and the states that backpropagation
through time keeps of one batch. A process that asks for more than there is may take others with it.

All of it is arithmetic: nothing here may take longer, or more memory, for a larger number.
"""

from dataclasses import dataclass, replace

from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.model import GATES, count_params
from harness.system.physical_memory import physical_memory
from harness.training.replica_chunks import count_of

COPIES = 2  # of the data (as drawn in float64, and as handed over) and of a weight (a checkpoint)
SLOTS = {"sgd": 0, "adam": 2, "rmsprop": 1}  # the optimiser's memories, if any


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What the memory of a run grows with."""

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
    """Bytes that a run needs at least."""
    return _bytes(config, _sizes(config))


def check_memory(config: Config) -> None:
    """Raises `ConfigError` for a run that needs more than this machine has, with the setting that
    would save most; with the next ones, too, where that one alone is not enough."""
    sizes, there = _sizes(config), physical_memory()
    total = left = _bytes(config, sizes)
    blamed: dict[str, int] = {}
    while left > there and any(value > 1 for value in vars(sizes).values()):
        names = [name for name, value in vars(sizes).items() if value > 1]
        without = {name: _bytes(config, replace(sizes, **{name: 1})) for name in names}
        name = min(names, key=lambda name: without[name])
        blamed[name], left = getattr(sizes, name), without[name]
        sizes = replace(sizes, **{name: 1})
    if blamed:
        keys = _keys(config)
        said = " and ".join(f"{keys[name]}={value}" for name, value in blamed.items())
        raise ConfigError(
            f"{said}: needs at least {-(-total // 2**30):,} GiB of memory, and this machine has "
            f"{there // 2**30:,}; choose less{' of them' * (len(blamed) > 1)}."
        )


def _keys(config: Config) -> dict[str, str]:
    """The key that sets each size; windows of a series call steps and outputs otherwise."""
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
    """As far as they are known before data are drawn: at least."""
    keys = _keys(config)

    def of_task(name: str, least: int = 1) -> int:
        value = getattr(config.task, keys[name].partition(".")[2], least)
        return value if isinstance(value, int) else least  # a user's own task may mean else by it

    return Sizes(
        replicas=config.replicas,
        samples=config.task.samples,
        probes=of_task("probes", 0),
        steps=of_task("steps"),
        features=of_task("features"),
        outputs=of_task("outputs"),
        units=config.model.units,
        layers=config.model.layers,
        batch=config.trainer.batch_size,
    )


def _bytes(config: Config, sizes: Sizes) -> int:
    states = _replicas_at_once(config, sizes) * _states(config, sizes)
    return sizes.replicas * (_data(config, sizes) + _weights(config, sizes)) + states


def _data(config: Config, sizes: Sizes) -> int:
    """Of one replica's samples."""
    targets = sizes.outputs * (sizes.steps if config.task.every_step else 1)
    numbers = sizes.steps * sizes.features + targets
    return COPIES * 8 * (sizes.samples + sizes.probes) * numbers


def _weights(config: Config, sizes: Sizes) -> int:
    """Of one replica's weights, their gradient and the optimiser's memories."""
    outputs = sizes.units if config.model.head == "none" else sizes.outputs
    model = replace(config.model, units=sizes.units, layers=sizes.layers)
    spec = model.sized(config.semantics, sizes.features, outputs, returns="last")
    return COPIES * (2 + SLOTS[config.optimizer.name]) * _width(config) * count_params(spec)


def _states(config: Config, sizes: Sizes) -> int:
    """Of the gates of all time steps of one replica's batch."""
    return _width(config) * sizes.steps * sizes.layers * _gates(config, sizes)


def _gates(config: Config, sizes: Sizes) -> int:
    """Of one replica, in one time step of a batch and one layer."""
    return min(sizes.batch, sizes.samples) * sizes.units * GATES[config.model.cell]


def _replicas_at_once(config: Config, sizes: Sizes) -> int:
    """At least, on a CPU: in parts, as many as there are threads."""
    parts = count_of(sizes.replicas, _gates(config, sizes))
    return sizes.replicas * min(config.threads, parts) // parts


def _width(config: Config) -> int:
    """Of a number."""
    return 4 if config.precision == "float32" else 8
