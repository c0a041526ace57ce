"""Stop a replica when its validation loss no longer falls, and keep its best weights.

Each replica stops on its own, exactly when it would have stopped alone. One that has stopped is
frozen by a learning rate of 0 while the others go on.
"""

import copy
from collections.abc import Callable

import numpy as np

from backends import State

Array = np.ndarray


class EarlyStopping:
    """Patience over `val/loss`, per replica."""

    def __init__(self, replicas: int, patience: int, min_delta: float, start: State) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.best = np.full(replicas, np.inf)
        self.best_epoch = np.zeros(replicas, int)
        self.active = np.ones(replicas, bool)
        self.best_state = copy.deepcopy(start)

    def update(self, epoch: int, losses: Array, state: Callable[[], State]) -> bool:
        """Take note of an epoch's losses `(R,)` and, where they are better, of the weights that
        `state()` answers; True when every replica is done."""
        better = self.active & (losses < self.best - self.min_delta)
        self.best[better] = losses[better]
        self.best_epoch[better] = epoch
        if better.any():
            _copy_replicas(state(), self.best_state, better)
        self.active &= epoch - self.best_epoch < self.patience
        return not self.active.any()


def _copy_replicas(source: State, target: State, chosen: Array) -> None:
    """Replace the chosen replicas' weights and optimiser memory in `target`."""
    target.step = source.step
    pairs = [(source.params, target.params)]
    pairs += [(source.slots[slot], target.slots[slot]) for slot in source.slots]
    for values, kept in pairs:
        for name in values:
            kept[name][chosen] = values[name][chosen]
