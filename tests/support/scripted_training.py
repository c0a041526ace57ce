"""Training with a backend whose losses are written beforehand.

No framework and no network take part.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backends import Array, State
from harness.config.schema import Config
from harness.training.checkpoints import Checkpoint, load_checkpoint
from harness.training.splits import Scale, Split, Splits
from harness.training.trainer import Outcome
from tests.support.configs import config

N = 10  # training samples


@cache
def defaults() -> Config:
    return config("trainer.epochs=3", "trainer.batch_size=4", "task.test_fraction=0")


def settings(replicas: int = 1, seed: int = 0, semantics: Any = (), **changes: Any) -> Config:
    base = defaults()
    return replace(
        base,
        seed=seed,
        replicas=replicas,
        trainer=replace(base.trainer, **changes),
        semantics=replace(base.semantics, **dict(semantics)),
    )


def splits(y_std: float = 1.0, largest: float = 1.0, val: bool = False) -> Splits:
    """`N` samples whose inputs all are `largest`; validation targets are 0."""
    x, y = np.full((1, N, 2, 1), largest), np.zeros((1, N, 1))
    ones = np.ones((1, 1, 1, 1))
    scale = Scale(x_mean=0 * ones, x_std=ones, y_mean=np.zeros(1), y_std=np.full(1, y_std))
    parts = {"train": Split(x, y)}
    return Splits(parts | {"val": Split(x, y)} if val else parts, scale, "float64")


@dataclass
class Scripted:
    """Answers with the losses of a script and adds up its learning rates as its only weight."""

    start: State
    losses: Array  # (steps, R)
    val_losses: Array  # (epochs, R)
    device: str = "cpu"
    kernel: str = "counting"
    calls: list[tuple[Array, Array]] = field(default_factory=list)
    measured: int = 0

    def __post_init__(self) -> None:
        self.weight, self.memory = self.start.params["w"].copy(), self.start.slots["m"]["w"].copy()
        self.step = self.start.step

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        assert batches.shape[:2] == lr.shape
        self.calls.append((batches, lr))
        answer = self.losses[self.step : self.step + len(lr)]
        self.weight, self.memory = self.weight + lr.sum(axis=0)[:, None], self.memory + len(lr)
        self.step += len(lr)
        return answer

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Such outputs that the mean squared error is the script's."""
        loss = self.val_losses[min(self.measured, len(self.val_losses) - 1)]
        self.measured += 1
        return np.sqrt(np.broadcast_to(loss[:, None, None], (len(loss), x.shape[1], 1)))

    def state(self) -> State:
        return State({"w": self.weight.copy()}, {"m": {"w": self.memory.copy()}}, self.step)


@dataclass
class Trained:
    """What `train` did with a scripted backend."""

    outcome: Outcome
    built: list[Scripted]
    events: list[dict[str, Any]]

    @property
    def first(self) -> Scripted:
        return self.built[0]

    def metric(self, name: str) -> list[list[float]]:
        return [e["values"][name] for e in self.events if name in e.get("values", {})]


Train = Callable[..., Trained]


def rates(trained: Trained) -> Array:
    """The learning rate of every step, `(steps, R)`."""
    return np.concatenate([lr for _, lr in trained.first.calls])


# One column per replica; each has its best in another epoch. The last value of replica 0 would be
# its best, but by then it has stopped.
VAL = np.array(
    [
        [5.0, 5.0, 5.0],
        [6.0, 4.0, 4.0],
        [7.0, 5.0, 3.0],
        [8.0, 6.0, 3.5],
        [1.0, 7.0, 3.6],
        [1.0, 7.0, 3.7],
    ]
)

BEST, STOPPED = [1, 2, 3], [3, 4, 5]


def patient(**changes: Any) -> Config:
    return settings(**{"epochs": 6, "batch_size": N, "patience": 2} | changes)


def kept(tmp_path: Path) -> dict[int, Checkpoint]:
    """The checkpoints of the only training, by epoch."""
    return {int(p.stem[-5:]): load_checkpoint(p) for p in tmp_path.rglob("*.safetensors")}
