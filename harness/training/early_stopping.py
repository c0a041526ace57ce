"""Stop a replica when its validation loss no longer falls, and keep its best weights.

Each replica stops on its own, exactly when it would have stopped alone. One that has stopped is
frozen by a learning rate of 0 while the others go on, and by a velocity of 0: with
`semantics.momentum_lr=inside` the rate does not act on what the velocity holds already.
"""

import copy

import numpy as np

from backends import State
from harness.core.arrays import Array
from harness.training.checkpoints import Checkpoint


class EarlyStopping:
    """Patience over `val/loss`, per replica; `begun` is the checkpoint that a run goes on from."""

    def __init__(
        self,
        replicas: int,
        patience: int,
        min_delta: float,
        start: State,
        begun: Checkpoint | None = None,
    ) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.best = np.full(replicas, np.inf)
        self.best_epoch = np.zeros(replicas, int)
        self.values: dict[str, Array] = {}  # every metric at each replica's best epoch
        self.active = np.ones(replicas, bool)
        kept = start
        if begun is not None and begun.best is not None:
            self.values = {name: value.copy() for name, value in begun.stopping.items()}
            self.best, self.best_epoch = self.values.pop("loss"), self.values.pop("epoch")
            self.active = begun.epoch - self.best_epoch < patience
            kept = begun.best
        self.best_state = copy.deepcopy(kept)

    def update(self, epoch: int, values: dict[str, Array], state: State) -> bool:
        """Take note of an epoch's metrics, `(R,)` each, and of its state for those replicas whose
        `val/loss` is better; True when every replica is done."""
        losses = values["val/loss"]
        better = self.active & (losses < self.best - self.min_delta)
        self.best[better] = losses[better]
        self.best_epoch[better] = epoch
        self.values |= {
            name: np.where(better, value, self.values.get(name, np.nan))
            for name, value in values.items()
        }
        if better.any():
            _copy_replicas(state, self.best_state, better)
        self.active &= epoch - self.best_epoch < self.patience
        return not self.active.any()

    def moves(self, before: Array, state: State) -> bool:
        """Whether a replica that was `before` among the active ones would move on by itself."""
        return bool((before & ~self.active).any()) and "velocity" in state.slots

    def frozen(self, state: State) -> State:
        """The state in which the replicas that have stopped stay as they are at a rate of 0."""
        halted = copy.deepcopy(state)
        for velocity in halted.slots.get("velocity", {}).values():
            velocity[~self.active] = 0
        return halted

    def memory(self) -> dict[str, Array]:
        """What a checkpoint has to hold beside the best weights, `(R,)` each. Which replicas have
        stopped follows from the best epochs."""
        return {"loss": self.best, "epoch": self.best_epoch, **self.values}


def _copy_replicas(source: State, target: State, chosen: Array) -> None:
    """Replace the chosen replicas' weights and optimiser memory in `target`."""
    target.step = source.step
    pairs = [(source.params, target.params)]
    pairs += [(source.slots[slot], target.slots[slot]) for slot in source.slots]
    for values, kept in pairs:
        for name in values:
            kept[name][chosen] = values[name][chosen]
