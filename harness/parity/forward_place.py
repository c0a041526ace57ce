"""Locate a difference in the forward pass: one block of weights at a time.

Every weight of the layer is set to zero except the bias of the candidate, so that the states are
not zero and all gates are at σ(0). Then one block (one gate's part of one tensor) gets its real
values back. The blocks with which the backends disagree are those that one of them uses wrongly.
"""

from dataclasses import replace

import numpy as np

from backends import Array, State
from harness.core.difference import Difference, compare
from harness.core.gates import GATE_NAMES, layer_of
from harness.core.model import ModelSpec, Params, shapes
from harness.parity.place import Place
from harness.parity.problem import Pair, Problem
from harness.parity.stages import hidden_states

CANDIDATE_BIAS = 0.9  # keeps the states from zero while all other weights are zero


def locate_states(
    difference: Difference, problem: Problem, pair: Pair, step: int, state: State
) -> Place:
    """Return the place of a difference in the hidden states of a layer."""
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


def locate_outputs(
    difference: Difference, problem: Problem, pair: Pair, step: int, state: State
) -> Place:
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
