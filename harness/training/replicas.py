"""States and arrays along the replica axis: slices of them, and slices put together again."""

from collections.abc import Sequence

import numpy as np

from backends import Array, State
from harness.core.model import Params


def merge_states(states: Sequence[State]) -> State:
    """The states' replicas one after the other; they have done as many updates."""

    def joined(parts: list[Params]) -> Params:
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    slots = {slot: joined([state.slots[slot] for state in states]) for slot in states[0].slots}
    return State(joined([state.params for state in states]), slots, states[0].step)


def state_slice(state: State, own: slice) -> State:
    """Some replicas of a state, as a copy."""

    def chosen(params: Params) -> Params:
        return {name: value[own].copy() for name, value in params.items()}

    return State(chosen(state.params), {s: chosen(v) for s, v in state.slots.items()}, state.step)


def axis_slice(array: Array, replicas: slice) -> Array:
    """Return some replicas of `(R, …)`; an axis of length 1 is shared by all."""
    return array if len(array) == 1 else array[replicas]
