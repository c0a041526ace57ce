"""Where two backends part, once a stage is known: layer, tensor, gate and time step.

A backend is a black box here: only the contract is used. Two experiments do what a debugger would.

One block at a time: forward, every weight of the layer is set to zero but for the bias of the
candidate, so that the states are alive and all gates sit at σ(0); then one block (one gate's part
of one tensor) gets its real values back. The blocks under which the backends disagree are those
that one of them uses wrongly.

Shortest sequence: a gradient is taken of sequences cut to 1, 2, … time steps. The first length at
which it differs says how far back in time the error has to travel to show the mistake.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from backends import Array, Data, State
from harness.core.model import GATES, ModelSpec, Params, shapes
from harness.core.tolerances import LIMITS
from harness.parity.difference import Difference, by_tensor, compare, least_scales
from harness.parity.problem import BackendClass, Problem
from harness.parity.stages import hidden_states
from harness.training.gradient import gradients

GATE_NAMES = {"rnn": [""], "lstm": ["i", "f", "c", "o"], "gru": ["z", "r", "h"]}
ALIVE = 0.9  # the candidate's bias


@dataclass(frozen=True)
class Place:
    """The first step, tensor, layer, gate and time step beyond a limit; None where a stage has no
    such thing. `blocks` are all `(tensor, gate)` that are involved, the worst first."""

    stage: str
    step: int
    tensor: str
    layer: int | None = None
    gate: str | None = None
    time_step: int | None = None
    blocks: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""

    def sentence(self) -> str:
        """`step 1, gradients: rnn.0.kernel, gate f, …`; steps count from 1, time steps from 0."""
        parts = [f"step {self.step}, {self.stage}: {self.tensor}"]
        parts += [f"layer {self.layer}"] if self.layer is not None else []
        parts += [f"gate {self.gate}"] if self.gate else []
        parts += [f"time step {self.time_step}"] if self.time_step is not None else []
        return ", ".join(parts) + (f" ({self.note})" if self.note else "")


Pair = tuple[BackendClass, BackendClass]


def locate(found: Difference, problem: Problem, pair: Pair, step: int, state: State) -> Place:
    """The place of `found`, a difference that `pair` shows at `step` (from 0) and from `state`."""
    if not found.place:  # a tensor that is missing, or of another shape
        return Place(found.stage, step + 1, found.tensor, note=found.note)
    if found.stage == "hidden states":
        return _forward(found, problem, pair, step, state)
    if found.stage == "gradients":
        return _gradient(found, problem, pair, step, state)
    if found.stage in ("optimiser slots", "weights", "names"):
        tensor = found.tensor.rpartition(" of ")[2]
        return _of_tensor(found, problem.model, tensor, step)
    if found.stage == "outputs" and problem.model.head == "dense":
        return _head(found, problem, pair, step, state)
    return Place(found.stage, step + 1, found.tensor, note=found.note)


def _of_tensor(found: Difference, model: ModelSpec, tensor: str, step: int) -> Place:
    gate = gate_of(model, tensor, found.place[-1])
    return Place(found.stage, step + 1, found.tensor, layer_of(tensor), gate, note=found.note)


def layer_of(tensor: str) -> int | None:
    """2 of `rnn.2.kernel`."""
    parts = tensor.split(".")
    return int(parts[1]) if parts[0] == "rnn" and len(parts) == 3 else None


def gate_of(model: ModelSpec, tensor: str, column: int) -> str | None:
    """The gate to which a column of a layer's tensor belongs; None in the head and simple cell."""
    if layer_of(tensor) is None or model.cell == "rnn":
        return None
    if tensor.endswith("recurrent_bias") and model.biases == "candidate":
        return "h"
    return GATE_NAMES[model.cell][column // model.units]


# ------------------------------------------------------------------ forward: one block at a time


def _forward(found: Difference, problem: Problem, pair: Pair, step: int, state: State) -> Place:
    layer, (_, _, time_step, unit) = int(found.tensor.split()[-1]), found.place
    x, mask = problem.batch(step)

    def disagree(params: Params) -> bool:
        states = [hidden_states(c, problem, State(params), layer, x, mask) for c in pair]
        return _differ("hidden states", states[0], states[1], problem)

    base = {**state.params, **_alive(problem.model, state.params, layer)}
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
    return Place(found.stage, step + 1, tensor, layer, gate, time_step, blocks, where)


def _differ(stage: str, expected: Array, actual: Array, problem: Problem) -> bool:
    precision = problem.training.precision
    return compare(stage, {"": expected}, {"": actual}, precision, {}).beyond


def _alive(model: ModelSpec, params: Params, layer: int) -> Params:
    """The layer's weights at zero, but for the candidate's bias."""
    names = [name for name in params if layer_of(name) == layer]
    found = {name: np.zeros_like(params[name]) for name in names}
    columns = _columns(model, GATE_NAMES[model.cell].index(_candidate(model)))
    bias = found[f"rnn.{layer}.bias"]
    if bias.ndim == 3:  # the input side's row
        bias[:, 0, columns] = ALIVE
    else:
        bias[:, columns] = ALIVE
    return found


def _candidate(model: ModelSpec) -> str:
    return {"rnn": "", "lstm": "c", "gru": "h"}[model.cell]


def _columns(model: ModelSpec, gate: int) -> slice:
    return slice(gate * model.units, (gate + 1) * model.units)


def _blocks(model: ModelSpec, layer: int) -> list[tuple[str, str]]:
    """Every `(tensor, gate)` of a layer."""
    found = []
    for name in shapes(model):
        if layer_of(name) == layer:
            only = name.endswith("recurrent_bias") and model.biases == "candidate"
            found += [(name, gate) for gate in (["h"] if only else GATE_NAMES[model.cell])]
    return found


def _with_block(model: ModelSpec, base: Params, params: Params, block: tuple[str, str]) -> Params:
    name, gate = block
    value = base[name].copy()
    whole = value.shape[-1] == model.units
    columns = slice(None) if whole else _columns(model, GATE_NAMES[model.cell].index(gate))
    value[..., columns] = params[name][..., columns]
    return {**base, name: value}


# ------------------------------------------------------------------ backward: shortest sequence


def _gradient(found: Difference, problem: Problem, pair: Pair, step: int, state: State) -> Place:
    length, worst = _shortest(problem, pair, step, state)
    blocks = sorted(worst, key=lambda block: -worst[block])
    if not blocks:
        return _of_tensor(found, problem.model, found.tensor, step)
    # Errors flow from the head down, so the topmost layer that is wrong is where it begins.
    top = max(_height(problem.model, name) for name, _ in blocks)
    at_top = [block for block in blocks if _height(problem.model, block[0]) == top]
    tensor, gate = at_top[0]
    steps = problem.data.x.shape[2]
    note = f"shows in sequences of {length} or more time steps" if length < steps else ""
    return Place(
        found.stage, step + 1, tensor, layer_of(tensor), gate or None, length - 1, at_top, note
    )


def _height(model: ModelSpec, tensor: str) -> int:
    """The number of the tensor's layer; the head is above all of them."""
    layer = layer_of(tensor)
    return model.layers if layer is None else layer


def _shortest(
    problem: Problem, pair: Pair, step: int, state: State
) -> tuple[int, dict[tuple[str, str], float]]:
    """The smallest number of time steps with a difference, and its error by `(tensor, gate)`."""
    steps = problem.data.x.shape[2]
    for length in range(1, steps + 1):
        cut = _cut(problem, length)
        one, other = (
            gradients(c, cut.model, cut.training, cut.data, state, problem.batches[step])
            for c in pair
        )
        errors = _block_errors(problem.model, one, other, problem.training.precision)
        if errors:
            return length, errors
    return steps, {}


def _cut(problem: Problem, length: int) -> Problem:
    """The problem on the first `length` time steps."""
    data = problem.data
    y = data.y[:, :, :length] if problem.model.every_step else data.y
    mask = None if data.mask is None else data.mask[:, :, :length]
    return replace(problem, data=Data(data.x[:, :, :length], y, mask))


def _block_errors(
    model: ModelSpec, expected: Params, actual: Params, precision: str
) -> dict[tuple[str, str], float]:
    """The blocks of those tensors that are beyond the limit, each relative to its own largest, but
    to no less than what rounding leaves of the largest of all."""
    found, limit = {}, LIMITS[precision].gradient
    least = least_scales("gradients", expected, precision)
    for tensor in by_tensor("gradients", expected, actual, precision, {}):
        name = tensor.tensor
        if not tensor.beyond:
            continue
        value = expected[name]
        gates = GATES[model.cell] if layer_of(name) is not None else 1
        gates = 1 if value.shape[-1] == model.units and gates > 1 else gates
        pairs = zip(np.split(value, gates, -1), np.split(actual[name], gates, -1), strict=True)
        for gate, (one, other) in enumerate(pairs):
            largest = max(np.abs(one).max(), np.abs(other).max(), least[name].max())
            error = float(np.abs(one - other).max() / largest) if largest else 0.0
            if not error <= limit:
                label = gate_of(model, name, gate * model.units) or ""
                found[name, label] = error
    return found


# ------------------------------------------------------------------ the head


def _head(found: Difference, problem: Problem, pair: Pair, step: int, state: State) -> Place:
    """The head's kernel or its bias: whichever is wrong while the other is zero."""
    x, mask = problem.batch(step)
    blocks = []
    for kept, other in (("head.kernel", "head.bias"), ("head.bias", "head.kernel")):
        params = {**state.params, other: np.zeros_like(state.params[other])}
        outputs = [problem.build(c, replace(state, params=params)).predict(x, mask) for c in pair]
        if _differ("outputs", outputs[0], outputs[1], problem):
            blocks.append((kept, ""))
    tensor = ", ".join(name for name, _ in blocks) or "outputs"
    return Place(found.stage, step + 1, tensor, blocks=blocks, note=found.note)
