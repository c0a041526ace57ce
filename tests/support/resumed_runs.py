"""Small runs in float64, resumed as the command line resumes them, and their curves."""

from pathlib import Path

import numpy as np

from harness.config.overrides import with_force_add, without_force_add
from harness.config.parsing import from_hydra
from harness.config.schema import Config
from harness.runs import run as run_module
from harness.runs.identity import Identity
from harness.runs.resume import configuration, resumed
from harness.runs.run import Result
from harness.training.plan import Plan, prepare
from tests.support import program
from tests.support.backend_classes import BACKENDS
from tests.support.configs import composed

SMALL = ("task.samples=60", "task.length=6", "trainer.batch_size=16", "model.units=5")
SMALL += ("precision=float64", "tracking=journal", "trainer.epochs=6", "trainer.checkpoint_every=3")

# Cell and optimiser; 48 samples for training make 3 steps an epoch. Learning rates are so large
# that losses move by more than rounding, and memory by more than a step.
CASES = {
    "adam": ("model=lstm", "optimizer.lr=0.01"),
    "momentum": (
        *("model=rnn", "optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.003"),
        "trainer.schedule=cosine",
    ),
    "rmsprop": ("model=gru", "optimizer=rmsprop", "optimizer.lr=0.005", "replicas=2"),
    "keras": (
        *("model=gru", "model.layers=2", "semantics=keras", "optimizer.lr=0.01"),
        *("optimizer.weight_decay=0.01", "trainer.clip=0.5"),
    ),
}

NAMES = list(BACKENDS)


def settings(directory: Path, *overrides: str) -> Config:
    """As the program makes them of a command line."""
    words = with_force_add(list(overrides))
    node = composed(*words)
    if node.resume is not None:
        node = configuration(node, without_force_add(words), directory)
    return from_hydra(node)


def plan(directory: Path, *overrides: str) -> Plan:
    return resumed(prepare(settings(directory, *overrides)))[0]


def run(directory: Path, *overrides: str) -> Result:
    """What `python -m harness OVERRIDES` does, with its files in `directory`."""
    config = settings(directory, *overrides)
    result = run_module.run(
        config, Identity(name=directory.name, directory=directory, overrides=list(overrides))
    )
    tracked = config.tracking.name == "mlflow"
    assert bool(result.wait_for_address()) == tracked, "all of it has arrived"
    return result


def curve(directory: Path, metric: str = "train/loss") -> np.ndarray:
    """`(epochs, R)`, from epoch 1."""
    found = program.journalled(directory, metric)
    assert [step for step, _ in found] == list(range(1, len(found) + 1))
    return np.array([values for _, values in found])


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest relative difference of two curves of one length."""
    assert one.shape == other.shape
    return float((np.abs(one - other) / np.abs(one)).max())


LONG = ("task.samples=60", "model.units=5", "precision=float64", "tracking=journal")
