"""A network and the way in which some program computes with it: outputs, states and gates.

All is computed in float64 by the textbook's cells, which name their gates and take activations that
only other programs have.
"""

from dataclasses import dataclass, field
from functools import partial

import numpy as np

from backends.numpy_backend import textbook
from harness.core.arrays import Array
from harness.core.gates import GATE_NAMES
from harness.core.losses import gives_logits
from harness.core.model import Params
from harness.diff.inputs import Inputs
from harness.formats.trained_network import Network


@dataclass(frozen=True, kw_only=True)
class Program:
    """How a program computes with a network; the defaults are as it was trained."""

    network: Network
    gate: str = "sigmoid"
    axes_swapped: bool = False  # takes (N, T, F) for (T, N, F)
    padding: str = ""  # front or behind: runs through zeros there as through real steps
    extra: int = 0  # so many zeros beyond the longest sequence
    rounded_inputs: str = ""  # to this precision
    rounded_outputs: str = ""
    rounded_states: str = ""  # hidden and cell states, at each step


@dataclass(frozen=True, kw_only=True)
class Computed:
    """What a program computes for N sequences of T steps."""

    outputs: Array  # (N, O) or (N, T, O), as the program gives them
    states: Params = field(default_factory=dict)  # `layer 0` -> (N, T, U)
    gates: dict[str, Params] = field(default_factory=dict)  # `layer 0` -> `f` -> (N, T, U)


def run(program: Program, inputs: Inputs) -> Computed:
    """Compute outputs in original units, or probabilities, with the states and gates on the way."""
    network, model = program.network, program.network.model
    inputs = _as_taken(program, inputs)
    h = ((inputs.x - network.x_mean) / network.x_std).swapaxes(0, 1)  # (T, N, F)
    mask = inputs.mask.T[..., None].astype(float)
    states, gates = {}, {}
    with np.errstate(over="ignore", invalid="ignore"):
        for layer, weights in enumerate(network.layers):
            h, steps = _layer(program, h, weights, mask)
            name = f"layer {layer}"
            states[name], gates[name] = h.swapaxes(0, 1), _gates(model.cell, steps)
        y = h.swapaxes(0, 1) if model.every_step else h[-1]
        if model.head == "dense":
            y = y @ network.weights["head.kernel"] + network.weights["head.bias"]
        if gives_logits(network.loss):
            y = textbook.sigmoid(y)
        y = rounded(y * network.y_std + network.y_mean, program.rounded_outputs)
    if program.axes_swapped and model.every_step:
        y = y.swapaxes(0, 1)
    return Computed(outputs=y, states=states, gates=gates)


def _as_taken(program: Program, inputs: Inputs) -> Inputs:
    """Return the inputs as the program takes them: padded, with other axes, or rounded."""
    if program.padding:
        inputs = inputs.padded(program.padding, program.extra)
    if program.axes_swapped:
        inputs = Inputs(inputs.x.swapaxes(0, 1), inputs.mask.T)
    return Inputs(rounded(inputs.x, program.rounded_inputs), inputs.mask)


def _layer(
    program: Program, x: Array, weights: tuple[Array, Array, Array], mask: Array
) -> tuple[Array, list]:
    W, U, b = (array.astype(np.float64) for array in weights)
    model = program.network.model
    φ, σ = model.activation, program.gate
    store = partial(rounded, precision=program.rounded_states)
    if model.cell == "gru":
        return textbook.gru_forward(x, (W, U, b), mask, model.reset, φ, σ, store)
    if model.cell == "lstm":
        return textbook.lstm_forward(x, (W, U, b.sum(axis=0)), mask, φ, σ, store)
    return textbook.rnn_forward(x, (W, U, b.sum(axis=0)), mask, φ, store)


def _gates(cell: str, steps: list) -> Params:
    """Return each gate's values `(N, T, U)` by name; a simple cell has none."""
    if cell == "rnn":
        return {}
    values = [s.gates if cell == "lstm" else [s.z, s.r, s.candidate] for s in steps]
    stacked = np.stack([np.stack(each) for each in values], axis=2)  # (G, N, T, U)
    return dict(zip(GATE_NAMES[cell], stacked, strict=True))


def rounded(values: Array, precision: str) -> Array:
    """Return the values rounded to `precision`, in float64; an empty word leaves them."""
    if not precision:
        return values
    with np.errstate(over="ignore"):
        if precision != "bfloat16":
            return values.astype(precision).astype(np.float64)
        bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
        # To the nearest of the numbers that end in 16 zeros, to the even one in the middle.
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).astype(np.float64)
