"""The NumPy reference against central differences: what all other backends are held against.

The differences use `predict` and a loss written here in another form. Every entry of every weight
is moved, each time in a replica of its own, so one call of `predict` serves a whole parameter.
"""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import harness.training.gradient
from backends import Array, Data, State
from backends.numpy_backend import NumpyBackend
from harness.core.model import Params
from harness.parity.problem import Problem
from harness.training.gradient import gradients
from tests.support.agreement import check_gradients
from tests.support.problems import Case

# f'(0) ≈ Σ weight · (f(offset · H) − f(−offset · H)) / H, exact up to the eighth power of H.
STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
OFFSETS = np.array([*STENCIL, *(-offset for offset in STENCIL)])
WEIGHTS = np.array([*STENCIL.values(), *(-weight for weight in STENCIL.values())])
# The step: wide where the cell is smooth and its gradient small, narrow where relu has a kink.
H = {"rnn-tanh": 2.0**-9, "rnn-relu": 2.0**-12, "lstm-tanh": 2.0**-7, "gru-tanh": 2.0**-7}
SAMPLES = 3  # few, so that no kink lies within a step

LAYERS, RETURNS, HEADS = (1, 2, 3), ("last", "every_step"), ("dense", "none")


def cases(cell: str, activation: str = "tanh") -> list[Case]:
    return [
        Case(
            f"{cell}-{activation}-{layers}-{returns}-{head}",
            cell,
            activation,
            layers,
            returns,
            head,
            units=3,
        )
        for layers, returns, head in product(LAYERS, RETURNS, HEADS)
    ]


BCE_CASES = [
    Case("rnn-bce", "rnn", loss="bce", units=3),
    Case("lstm-bce-every-step", "lstm", loss="bce", returns="every_step", units=3),
    Case("gru-bce-no-head", "gru", loss="bce", head="none", units=3),
]
RULES_CASES = [
    Case("rnn-masked", "rnn", layers=2, masked=True, units=3),
    Case("lstm-masked-every-step", "lstm", layers=2, returns="every_step", masked=True, units=3),
    Case("gru-masked-every-step", "gru", layers=2, returns="every_step", masked=True, units=3),
    Case("lstm-masked-bce", "lstm", returns="every_step", loss="bce", masked=True, units=3),
    Case("rnn-2-biases", "rnn", layers=2, rules=(("biases", "double"),), units=3),
    Case("lstm-2-biases", "lstm", layers=2, rules=(("biases", "double"),), units=3),
    Case("gru-candidate-bias", "gru", layers=2, rules=(("gru_biases", "candidate"),), units=3),
    Case("gru-1-bias", "gru", layers=2, rules=(("gru_biases", "single"),), units=3),
    *(
        Case(f"gru-before-{biases}", "gru", layers=2, rules=rules, masked=True, units=3)
        for biases in ("single", "candidate", "double")
        for rules in [(("gru_reset", "before"), ("gru_biases", biases))]
    ),
]
PLAIN = {"optimizer": "sgd", "weight_decay": 0.0, "clip": None}
CASES = [
    *cases("rnn"),
    *cases("rnn", "relu"),
    *cases("lstm"),
    *cases("gru"),
    *BCE_CASES,
    *RULES_CASES,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_backpropagation_equals_central_differences(case: Case) -> None:
    p = case.problem("float64")
    rows = p.batches[0][:, :SAMPLES]
    actual = gradients(NumpyBackend, p.model, p.training, p.data, p.state, rows)
    x, y = p.data.x[:, rows[0]], p.data.y[0, rows[0]]
    mask = None if p.data.mask is None else p.data.mask[:, rows[0]]
    expected = {name: differences(p, name, x, y, mask) for name in p.state.params}
    check_gradients(expected, actual, "float64")
    assert all(np.isfinite(value).all() for value in actual.values())  # NaN in both would agree


def differences(problem: Problem, name: str, x: Array, y: Array, mask: Array | None) -> Array:
    """The gradient of the parameter `name`, `(1, …)`, from moving each of its P entries alone."""
    h = H[f"{problem.model.cell}-{problem.model.activation}"]
    value = problem.state.params[name]
    moves = h * OFFSETS[:, None, None] * np.eye(value.size)  # (K offsets, P moved, P entries)
    K, P, _ = moves.shape
    params = {n: np.repeat(p, K * P, axis=0) for n, p in problem.state.params.items()}
    params[name] += moves.reshape(K * P, *value.shape[1:])
    return (WEIGHTS / h @ losses(problem, params, x, y, mask).reshape(K, P)).reshape(value.shape)


def losses(problem: Problem, params: Params, x: Array, y: Array, mask: Array | None) -> Array:
    """The mean loss of each replica `(R,)` over the shared samples `x` `(1, B, T, F)` and `y`."""
    outputs = replace(problem, state=State(params)).build(NumpyBackend).predict(x, mask)
    real = ... if mask is None or not problem.model.every_step else mask[0]
    if problem.training.loss == "mse":
        return np.array([np.mean((output[real] - y[real]) ** 2) for output in outputs])
    p = 1 / (1 + np.exp(-outputs))
    return np.array([-np.mean(np.log(np.where(y == 1, one, 1 - one)[real])) for one in p])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_gradients_of_two_replicas_are_those_of_each(cell: str) -> None:
    """In two layers, with data, padding and weights of its own."""
    case = Case(f"gradients-of-two-{cell}", cell, layers=2, masked=True, replicas=2)
    p = case.problem("float64")
    together = gradients(NumpyBackend, p.model, p.training, p.data, p.state, p.batches[0])
    for r in range(2):
        own, mask = slice(r, r + 1), p.data.mask
        data = Data(p.data.x[own], p.data.y[own], None if mask is None else mask[own])
        state = State({name: value[own] for name, value in p.state.params.items()})
        alone = gradients(NumpyBackend, p.model, p.training, data, state, p.batches[0][own])
        check_gradients(alone, {name: value[own] for name, value in together.items()}, "float64")


def test_only_the_gradient_is_taken_from_the_training() -> None:
    """The optimiser, its memory, clipping and decay play no part, and the state stays as it is."""
    case = Case("gradient", optimizer="adam", weight_decay=0.1, clip=1e-3, replicas=3)
    taken = []
    for p in (case.problem("float64"), replace(case, **PLAIN).problem("float64")):
        kept = {name: value.copy() for name, value in p.state.params.items()}
        taken.append(gradients(NumpyBackend, p.model, p.training, p.data, p.state, p.batches[0]))
        for name, value in p.state.params.items():
            np.testing.assert_array_equal(value, kept[name])
    for name, value in taken[0].items():
        np.testing.assert_array_equal(value, taken[1][name])


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_large_step_loses_no_digit(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is 2²⁰ times larger gives the same gradient, to the last digits."""
    p = Case("gradient", replicas=3).problem(precision)
    arguments = (p.model, p.training, p.data, p.state, p.batches[0])
    expected = gradients(NumpyBackend, *arguments)
    monkeypatch.setattr(harness.training.gradient, "LR", harness.training.gradient.LR * 2**20)
    for name, value in gradients(NumpyBackend, *arguments).items():
        tolerance = 2 * np.finfo(value.dtype).eps * np.abs(value).max()
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=tolerance)
