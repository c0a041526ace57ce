"""Locate a difference of two backends at a known stage: layer, tensor, gate and time step.

A backend is a black box here: only the contract is used, in two experiments.

One block at a time, for a difference in the forward pass: every weight of the layer is set to zero
except the bias of the candidate, so that the states are not zero and all gates are at σ(0). Then
one block (one gate's part of one tensor) gets its real values back. The blocks with which the
backends disagree are those that one of them uses wrongly.

Shortest sequence, for a difference in the gradients: gradients are computed for sequences cut to 1,
2, … time steps. The first length at which they differ says over how many steps the error has to
flow back to show the mistake.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from backends import Array, BackendFactory, Data, State
from harness.core.model import GATES, ModelSpec, Params, shapes
from harness.core.tolerances import LIMITS
from harness.parity.difference import Difference, by_tensor, compare, least_scales
from harness.parity.problem import Problem
from harness.parity.stages import hidden_states
from harness.training.gradient import gradients

GATE_NAMES = {"rnn": [""], "lstm": ["i", "f", "c", "o"], "gru": ["z", "r", "h"]}
CANDIDATE_BIAS = 0.9  # keeps the states from zero while all other weights are zero


@dataclass(frozen=True, kw_only=True)
class Place:
    """The first step, tensor, layer, gate and time step beyond a limit.

    A layer, gate or time step is None where the stage has none. `blocks` are all `(tensor, gate)`
    that are involved, the worst first.
    """

    stage: str
    step: int  # from 1
    tensor: str
    layer: int | None = None
    gate: str | None = None
    time_step: int | None = None
    blocks: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""

    def sentence(self) -> str:
        """Return the place as `step 1, gradients: rnn.0.kernel, gate f, time step 0`.

        Steps count from 1, time steps from 0.
        """
        parts = [f"step {self.step}, {self.stage}: {self.tensor}"]
        parts += [f"layer {self.layer}"] if self.layer is not None else []
        parts += [f"gate {self.gate}"] if self.gate else []
        parts += [f"time step {self.time_step}"] if self.time_step is not None else []
        return ", ".join(parts) + (f" ({self.note})" if self.note else "")


Pair = tuple[BackendFactory, BackendFactory]


def locate(difference: Difference, problem: Problem, pair: Pair, step: int, state: State) -> Place:
    """Return the place of a difference that `pair` shows at `step`, from 0, and from `state`."""
    if not difference.index:  # a tensor that is missing, or of another shape
        return Place(
            stage=difference.stage, step=step + 1, tensor=difference.tensor, note=difference.note
        )
    if difference.stage == "hidden states":
        return _forward(difference, problem, pair, step, state)
    if difference.stage == "gradients":
        return _gradient(difference, problem, pair, step, state)
    if difference.stage in ("optimiser slots", "weights", "names"):
        tensor = difference.tensor.rpartition(" of ")[2]
        return _of_tensor(difference, problem.model, tensor, step)
    if difference.stage == "outputs" and problem.model.head == "dense":
        return _head(difference, problem, pair, step, state)
    return Place(
        stage=difference.stage, step=step + 1, tensor=difference.tensor, note=difference.note
    )


def _of_tensor(difference: Difference, model: ModelSpec, tensor: str, step: int) -> Place:
    gate = gate_of(model, tensor, difference.index[-1])
    return Place(
        stage=difference.stage,
        step=step + 1,
        tensor=difference.tensor,
        layer=layer_of(tensor),
        gate=gate,
        note=difference.note,
    )


def layer_of(tensor: str) -> int | None:
    """Return the layer of a tensor, 2 for `rnn.2.kernel`, or None for the head."""
    parts = tensor.split(".")
    return int(parts[1]) if parts[0] == "rnn" and len(parts) == 3 else None


def gate_of(model: ModelSpec, tensor: str, column: int) -> str | None:
    """Return the gate of a column of a layer's tensor; None for the head and a simple cell."""
    if layer_of(tensor) is None or model.cell == "rnn":
        return None
    if tensor.endswith("recurrent_bias") and model.biases == "candidate":
        return "h"
    return GATE_NAMES[model.cell][column // model.units]


# ------------------------------------------------------------------ forward: one block at a time


def _forward(
    difference: Difference, problem: Problem, pair: Pair, step: int, state: State
) -> Place:
    layer, (_, _, time_step, unit) = int(difference.tensor.split()[-1]), difference.index
    x, mask = problem.batch(step)

    def disagree(params: Params) -> bool:
        states = [hidden_states(c, problem, State(params), layer, x, mask) for c in pair]
        return _differ("hidden states", states[0], states[1], problem)

    base = {**state.params, **_zero_but_candidate(problem.model, state.params, layer)}
    blocks = []
    if not disagree(base):
        blocks = [
            block
            for block in _blocks(problem.model, layer)
            if disagree(_with_block(problem.model, base, state.params, block))
        ]
    note = "" if blocks else "no single block of weights shows it alone"
    tensor = ", ".join(dict.fromkeys(name for name, _ in blocks)) or f"layer {layer}'s states"
    gate = ", ".join(dict.fromkeys(gate for _, gate in blocks if gate)) or None
    where = f"first at unit {unit}" + (f"; {note}" if note else "")
    return Place(
        stage=difference.stage,
        step=step + 1,
        tensor=tensor,
        layer=layer,
        gate=gate,
        time_step=time_step,
        blocks=blocks,
        note=where,
    )


def _differ(stage: str, expected: Array, actual: Array, problem: Problem) -> bool:
    precision = problem.training.precision
    return compare(stage, {"": expected}, {"": actual}, precision, {}).beyond


def _zero_but_candidate(model: ModelSpec, params: Params, layer: int) -> Params:
    """Return zeros for all weights of the layer except the candidate's bias."""
    names = [name for name in params if layer_of(name) == layer]
    weights = {name: np.zeros_like(params[name]) for name in names}
    columns = _columns(model, GATE_NAMES[model.cell].index(_candidate(model)))
    bias = weights[f"rnn.{layer}.bias"]
    if bias.ndim == 3:  # the input side's row
        bias[:, 0, columns] = CANDIDATE_BIAS
    else:
        bias[:, columns] = CANDIDATE_BIAS
    return weights


def _candidate(model: ModelSpec) -> str:
    return {"rnn": "", "lstm": "c", "gru": "h"}[model.cell]


def _columns(model: ModelSpec, gate: int) -> slice:
    return slice(gate * model.units, (gate + 1) * model.units)


def _blocks(model: ModelSpec, layer: int) -> list[tuple[str, str]]:
    """Return every `(tensor, gate)` of a layer."""
    blocks = []
    for name in shapes(model):
        if layer_of(name) == layer:
            candidate_only = name.endswith("recurrent_bias") and model.biases == "candidate"
            gates = ["h"] if candidate_only else GATE_NAMES[model.cell]
            blocks += [(name, gate) for gate in gates]
    return blocks


def _with_block(model: ModelSpec, base: Params, params: Params, block: tuple[str, str]) -> Params:
    name, gate = block
    value = base[name].copy()
    whole = value.shape[-1] == model.units
    columns = slice(None) if whole else _columns(model, GATE_NAMES[model.cell].index(gate))
    value[..., columns] = params[name][..., columns]
    return {**base, name: value}


# ------------------------------------------------------------------ backward: shortest sequence


def _gradient(
    difference: Difference, problem: Problem, pair: Pair, step: int, state: State
) -> Place:
    length, worst = _shortest(problem, pair, step, state)
    blocks = sorted(worst, key=lambda block: -worst[block])
    if not blocks:
        return _of_tensor(difference, problem.model, difference.tensor, step)
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


# ------------------------------------------------------------------ the head


def _head(difference: Difference, problem: Problem, pair: Pair, step: int, state: State) -> Place:
    """Return the place in the head: kernel or bias, whichever differs while the other is zero."""
    x, mask = problem.batch(step)
    blocks = []
    for tested, zeroed in (("head.kernel", "head.bias"), ("head.bias", "head.kernel")):
        params = {**state.params, zeroed: np.zeros_like(state.params[zeroed])}
        outputs = [problem.build(c, replace(state, params=params)).predict(x, mask) for c in pair]
        if _differ("outputs", outputs[0], outputs[1], problem):
            blocks.append((tested, ""))
    tensor = ", ".join(name for name, _ in blocks) or "outputs"
    return Place(
        stage=difference.stage, step=step + 1, tensor=tensor, blocks=blocks, note=difference.note
    )
