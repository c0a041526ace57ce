"""Slice states and arrays along the replica axis, and concatenate states along it."""

from collections.abc import Sequence

import numpy as np

from backends import Array, State
from harness.core.model import Params


def merge_states(states: Sequence[State]) -> State:
    """Concatenate the states' replicas; all states have the same number of updates done."""

    def joined(arrays: list[Params]) -> Params:
        return {name: np.concatenate([each[name] for each in arrays]) for name in arrays[0]}

    slots = {slot: joined([state.slots[slot] for state in states]) for slot in states[0].slots}
    return State(joined([state.params for state in states]), slots, states[0].step)


def state_slice(state: State, replicas: slice) -> State:
    """Return a copy of the state of some replicas."""

    def selected(params: Params) -> Params:
        return {name: value[replicas].copy() for name, value in params.items()}

    slots = {slot: selected(values) for slot, values in state.slots.items()}
    return State(selected(state.params), slots, state.step)


def axis_slice(array: Array, replicas: slice) -> Array:
    """Return some replicas of `(R, …)`; an axis of length 1 is shared by all."""
    return array if len(array) == 1 else array[replicas]
