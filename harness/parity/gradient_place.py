"""Locate a difference in the gradients: the shortest sequence that shows it.

Gradients are computed for sequences cut to 1, 2, … time steps. The first length at which they
differ says over how many steps the error has to flow back to show the mistake.
"""

from dataclasses import replace

import numpy as np

from backends import Data, State
from harness.core.difference import Difference, by_tensor, least_scales
from harness.core.gates import gate_of, layer_of
from harness.core.model import GATES, ModelSpec, Params
from harness.core.tolerances import LIMITS
from harness.parity.place import Place, place_of_tensor
from harness.parity.problem import Pair, Problem
from harness.training.gradient import gradients


def locate_gradient(
    difference: Difference, problem: Problem, pair: Pair, step: int, state: State
) -> Place:
    """Return the place of a difference in the gradients: the topmost layer that differs."""
    length, worst = _shortest(problem, pair, step, state)
    blocks = sorted(worst, key=lambda block: -worst[block])
    if not blocks:
        return place_of_tensor(difference, problem.model, difference.tensor, step)
    # Errors flow from the head down, so the topmost layer that differs is at fault.
    top = max(_height(problem.model, name) for name, _ in blocks)
    at_top = [block for block in blocks if _height(problem.model, block[0]) == top]
    tensor, gate = at_top[0]
    steps = problem.data.x.shape[2]
    note = f"shows in sequences of {length} or more time steps" if length < steps else ""
    return Place(
        stage=difference.stage,
        step=step + 1,
        tensor=tensor,
        layer=layer_of(tensor),
        gate=gate or None,
        time_step=length - 1,
        blocks=at_top,
        note=note,
    )


def _height(model: ModelSpec, tensor: str) -> int:
    """Return the number of the tensor's layer; the head is above all layers."""
    layer = layer_of(tensor)
    return model.layers if layer is None else layer


def _shortest(
    problem: Problem, pair: Pair, step: int, state: State
) -> tuple[int, dict[tuple[str, str], float]]:
    """Return the least number of time steps with a difference, and errors by `(tensor, gate)`."""
    steps = problem.data.x.shape[2]
    for length in range(1, steps + 1):
        cut = _cut(problem, length)
        first, second = (
            gradients(c, cut.model, cut.training, cut.data, state, cut.batches[step], cut.execution)
            for c in pair
        )
        errors = _block_errors(problem.model, first, second, problem.training.precision)
        if errors:
            return length, errors
    return steps, {}


def _cut(problem: Problem, length: int) -> Problem:
    """Return the problem on the first `length` time steps."""
    data = problem.data
    y = data.y[:, :, :length] if problem.model.every_step else data.y
    mask = None if data.mask is None else data.mask[:, :, :length]
    return replace(problem, data=Data(data.x[:, :, :length], y, mask))


def _block_errors(
    model: ModelSpec, expected: Params, actual: Params, precision: str
) -> dict[tuple[str, str], float]:
    """Return the errors of the blocks beyond the limit, by `(tensor, gate)`.

    Only tensors beyond the limit are looked at. An error is relative to the largest entry of its
    block, but at least to the tensor's size in `least_scales`.
    """
    errors, limit = {}, LIMITS[precision].gradient
    least = least_scales("gradients", expected, precision)
    for tensor in by_tensor("gradients", expected, actual, precision, {}):
        name = tensor.tensor
        if not tensor.beyond:
            continue
        value = expected[name]
        gates = GATES[model.cell] if layer_of(name) is not None else 1
        gates = 1 if value.shape[-1] == model.units and gates > 1 else gates
        pairs = zip(np.split(value, gates, -1), np.split(actual[name], gates, -1), strict=True)
        for gate, (expected_block, actual_block) in enumerate(pairs):
            largest = max(
                np.abs(expected_block).max(), np.abs(actual_block).max(), least[name].max()
            )
            error = float(np.abs(expected_block - actual_block).max() / largest) if largest else 0.0
            if not error <= limit:
                label = gate_of(model, name, gate * model.units) or ""
                errors[name, label] = error
    return errors
