"""A state's digest changes with every bit of its weights and memory, and with nothing else."""

import re
from dataclasses import replace

import numpy as np

from backends import State
from harness.tracking.state_digest import state_digest


def a_state() -> State:
    rng = np.random.default_rng(0)
    params = {name: rng.random((2, 3, 4)) for name in ("rnn.0.kernel", "rnn.0.bias")}
    slots = {s: {n: rng.random(p.shape) for n, p in params.items()} for s in ("m", "v")}
    return State(params, slots, 7)


def test_a_digest_is_short_and_repeats() -> None:
    assert re.fullmatch("[0-9a-f]{16}", state_digest(a_state()))
    assert state_digest(a_state()) == state_digest(a_state())


def test_one_bit_of_any_array_changes_it() -> None:
    seen = {state_digest(a_state())}
    for group in ("params", "m", "v"):
        for name in ("rnn.0.kernel", "rnn.0.bias"):
            state = a_state()
            arrays = state.params if group == "params" else state.slots[group]
            arrays[name][1, 2, 3] = np.nextafter(arrays[name][1, 2, 3], 1)
            seen.add(state_digest(state))
    assert len(seen) == 7


def test_names_shapes_and_precision_count() -> None:
    state = a_state()
    value = state.params["rnn.0.bias"]
    others = (
        {"rnn.0.bias": value.reshape(2, 4, 3)},
        {"rnn.1.bias": value},
        {"rnn.0.bias": value.view("int64")},
        {"rnn.0.bias": value},
    )
    digests = {state_digest(replace(state, params=params)) for params in others}
    assert len(digests) == len(others)


def test_neither_order_nor_memory_layout_nor_the_step_count() -> None:
    state = a_state()
    params = dict(reversed([(n, np.asfortranarray(p)) for n, p in state.params.items()]))
    slots = {slot: state.slots[slot] for slot in ("v", "m")}
    assert state_digest(State(params, slots, 9)) == state_digest(state)
