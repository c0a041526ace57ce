"""The training state's beginning and its file form.

A state file is safetensors: `params/NAME` and `slots/SLOT/NAME` arrays with a leading replica axis,
and the step count in the header. No pickle is ever written or read.
"""

import os
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from backends import State, TrainingSpec
from harness.model import Params

SLOTS = {"sgd": ("velocity",), "adam": ("m", "v"), "rmsprop": ("v",)}


def fresh_state(params: Params, training: TrainingSpec) -> State:
    """The state before the first update: the optimiser remembers zeros, and plain SGD nothing."""
    names = SLOTS[training.optimizer]
    if training.optimizer == "sgd" and not training.numbers["momentum"].any():
        names = ()
    slots = {slot: {name: np.zeros_like(p) for name, p in params.items()} for slot in names}
    return State(params, slots, 0)


def save_params(path: Path, params: Params) -> None:
    """Write weights under their canonical names; the file appears whole or not at all."""
    _save(path, params, {})


def save_state(path: Path, state: State, epoch: int) -> None:
    """Write a checkpoint from which training can go on after `epoch`."""
    arrays = {f"params/{name}": p for name, p in state.params.items()}
    for slot, values in state.slots.items():
        arrays |= {f"slots/{slot}/{name}": value for name, value in values.items()}
    _save(path, arrays, {"step": str(state.step), "epoch": str(epoch)})


def load_state(path: Path) -> tuple[State, int]:
    """Read a checkpoint: the state and the number of epochs that it has behind it."""
    state = State({})
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
        for key in file.keys():  # noqa: SIM118 - the file object is no mapping
            kind, _, rest = key.partition("/")
            if kind == "params":
                state.params[rest] = file.get_tensor(key)
            else:
                slot, _, name = rest.partition("/")
                state.slots.setdefault(slot, {})[name] = file.get_tensor(key)
    state.step = int(header["step"])
    return state, int(header["epoch"])


def _save(path: Path, arrays: Params, header: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}
    save_file(contiguous, partial, metadata=header)
    os.replace(partial, path)
