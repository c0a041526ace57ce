"""Stop a replica when its validation loss no longer falls, and keep its best weights.

Each replica stops in the epoch in which it would have stopped alone. A stopped replica is frozen by
a learning rate of 0 while the others train on, and by a velocity of 0: with
`semantics.momentum_lr=inside` the learning rate does not multiply the velocity.
"""

import copy

import numpy as np

from backends import State
from harness.core.arrays import Array
from harness.training.checkpoints import Checkpoint


class EarlyStopping:
    """Patience over `val/loss`, per replica; `begun` is the checkpoint from which a run resumes."""

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
        best_state = start
        if begun is not None and begun.best is not None:
            self.values = {name: value.copy() for name, value in begun.stopping.items()}
            self.best, self.best_epoch = self.values.pop("loss"), self.values.pop("epoch")
            self.active = begun.epoch - self.best_epoch < patience
            best_state = begun.best
        self.best_state = copy.deepcopy(best_state)

    def update(self, epoch: int, values: dict[str, Array], state: State) -> bool:
        """Keep an epoch's metrics, `(R,)` each, and its state for the replicas that got better.

        A replica got better if its `val/loss` fell by more than `min_delta` below its best. Returns
        whether every replica has stopped.
        """
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
        """Return whether a velocity would still move a replica that has stopped in this epoch.

        `before` `(R,)` says which replicas were active in the epoch.
        """
        return bool((before & ~self.active).any()) and "velocity" in state.slots

    def frozen(self, state: State) -> State:
        """Return a copy of the state in which stopped replicas have a velocity of 0."""
        halted = copy.deepcopy(state)
        for velocity in halted.slots.get("velocity", {}).values():
            velocity[~self.active] = 0
        return halted

    def memory(self) -> dict[str, Array]:
        """Return what a checkpoint has to hold besides the best weights, `(R,)` each.

        The best epochs tell which replicas have stopped.
        """
        return {"loss": self.best, "epoch": self.best_epoch, **self.values}


def _copy_replicas(source: State, target: State, chosen: Array) -> None:
    """Copy the chosen replicas' weights and optimiser memory into `target`."""
    target.step = source.step
    pairs = [(source.params, target.params)]
    pairs += [(source.slots[slot], target.slots[slot]) for slot in source.slots]
    for new, best in pairs:
        for name in new:
            best[name][chosen] = new[name][chosen]
