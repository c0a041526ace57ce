"""What every backend promises: the same signatures, no more than the contract, and a state that
is all of training, so that constructing from it is resuming, in this backend or in another.
"""

import inspect
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from backends import Array, Backend, Data, State
from backends.numpy_backend import NumpyBackend
from harness.core.tolerances import LIMITS
from harness.parity.problem import Problem
from harness.training.gradient import gradients
from tests.support.agreement import check_forward, check_losses, check_names
from tests.support.backend_classes import BACKENDS, backend_class
from tests.support.problems import Case
from tests.support.program import PATIENCE

METHODS = ["__init__", "train_epoch", "predict", "state"]

# GRU: its gates change places and its bias has two rows, in the optimiser's memory too.
OPTIMIZERS = [
    Case("resume-sgd", "gru"),
    Case("resume-nesterov", "gru", momentum=0.9, nesterov=True, lr=0.01),
    Case("resume-adam", "gru", optimizer="adam", lr=0.01),
    Case("resume-rmsprop", "gru", optimizer="rmsprop", lr=0.01),
]
SGD = Case("contract-sgd")
THREE = Case("contract-3-replicas", optimizer="adam", lr=0.01, replicas=3)


def name(case: Case) -> str:
    return case.name


# -------------------------------------------------------------------------------- the class's form


def signature(cls: type, method: str) -> inspect.Signature:
    return inspect.signature(getattr(cls, method), eval_str=True)


@pytest.mark.parametrize("method", METHODS)
def test_signature_equals_the_contracts(backend: type[Backend], method: str) -> None:
    assert signature(backend, method) == signature(Backend, method)


def test_renamed_parameter_is_another_signature() -> None:
    class Renamed:
        def predict(self, inputs: Array) -> Array: ...

    assert signature(Renamed, "predict") != signature(Backend, "predict")


# ----------------------------------------------------------- the same names inside every backend


def part(name: str, module: str) -> Any:
    return import_module(f"backends.{name}_backend.{module}")


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", BACKENDS)
def test_update_rules_have_the_references_names_and_parameters(name: str) -> None:
    own, reference = (part(each, "optimizers") for each in (name, "numpy"))
    assert list(own.UPDATE) == list(reference.UPDATE)
    for optimizer, rule in reference.UPDATE.items():
        assert own.UPDATE[optimizer].__name__ == rule.__name__
        assert parameters(own.UPDATE[optimizer]) == parameters(rule)
    assert parameters(own.decay) == parameters(reference.decay)
    # JAX has a replica's gradients by name, so that no sizes are needed.
    sized = ["gradients", "n", "s"] if name == "jax" else parameters(reference.clip)
    assert parameters(own.clip) == sized


@pytest.mark.parametrize("name", BACKENDS)
def test_losses_have_the_references_names_and_parameters(name: str) -> None:
    own, reference = (part(each, "losses") for each in (name, "numpy"))
    assert parameters(own.mean_loss) == parameters(reference.mean_loss)
    assert list(own.TERMS) == list(reference.TERMS)
    for form, terms in reference.TERMS.items():
        assert own.TERMS[form].__name__ == terms.__name__
        assert parameters(own.TERMS[form]) == parameters(terms)


@pytest.mark.parametrize("name", BACKENDS)
def test_cells_have_the_references_names(name: str) -> None:
    own, reference = (part(each, "cells").CELLS for each in (name, "numpy"))
    assert list(own) == list(reference) == ["rnn", "lstm", "gru after", "gru before"]
    for cell, (forward, backward) in reference.items():
        names = [f"{cell.replace(' ', '_')}_{way}" for way in ("forward", "backward")]
        assert [forward.__name__, backward.__name__] == names
        given = own[cell] if isinstance(own[cell], tuple) else [own[cell]]  # autograd needs one
        expected = names if len(given) == 2 else [cell.replace(" ", "_")]
        assert [function.__name__ for function in given] == expected


def test_word_that_is_no_loss_is_taken_for_neither(backend: type[Backend]) -> None:
    problem = SGD.problem("float32", steps=1)
    training = replace(problem.training, loss="mae")
    trained = backend(problem.model, training, problem.data, problem.state)
    with pytest.raises(Exception, match="loss=mae: must be mse"):  # TensorFlow's own, around ours
        trained.train_epoch(problem.batches[0][None], np.ones((1, 1)))


def test_backend_adds_nothing_public(backend: type[Backend]) -> None:
    promised = {n for n in {*vars(Backend), *Backend.__annotations__} if not n.startswith("_")}
    assert {n for n in vars(backend) if not n.startswith("_")} <= promised
    assert backend.__mro__ == (backend, object)


def test_backend_names_its_device(backend: type[Backend]) -> None:
    assert SGD.problem("float64").build(backend).device == "cpu"


@pytest.mark.parametrize("module", ["backends", "harness.config.schema", "backends.numpy_backend"])
def test_import_loads_no_framework(module: str) -> None:
    frameworks = {"torch", "tensorflow", "keras", "jax", "mlflow"}
    code = f"import sys, {module}; print(*(set(sys.modules) & {frameworks}))"
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=PATIENCE
    )
    assert run.stdout.split() == []


# --------------------------------------------------------------------------------------- the state


@pytest.mark.parametrize("case", OPTIMIZERS, ids=name)
def test_resuming_goes_on_as_if_uninterrupted(backend: type[Backend], case: Case) -> None:
    problem = case.problem("float64")
    uninterrupted = problem.build(backend)
    expected = problem.train(uninterrupted, 0, 40)
    first = problem.build(backend)
    before = problem.train(first, 0, 17)
    second = problem.build(backend, first.state())
    after = problem.train(second, 17, 40)
    check_forward(expected, np.concatenate([before, after]), "float64")
    check_states(uninterrupted.state(), second.state())
    assert second.state().step == 40


@pytest.mark.parametrize("case", OPTIMIZERS, ids=name)
def test_training_moves_between_backends(case: Case) -> None:
    """The chain has every hand-over between two backends in it."""
    chain = [
        *("numpy", "torch", "numpy", "keras", "numpy", "jax", "torch"),
        *("keras", "torch", "jax", "keras", "jax", "numpy"),
    ]
    problem = case.problem("float64")
    reference = problem.build(NumpyBackend)
    expected = problem.train(reference, 0, 10 * len(chain))
    state, losses = problem.state, []
    for index, backend_name in enumerate(chain):
        backend = problem.build(backend_class(backend_name), state)
        losses.append(problem.train(backend, 10 * index, 10 * index + 10))
        state = backend.state()
    check_losses(expected, np.concatenate(losses), "float64")
    check_states(reference.state(), state)


def check_states(expected: State, actual: State) -> None:
    """Weights and optimiser memory are the same up to the limit of a long run's losses."""
    assert actual.step == expected.step
    pairs = [(expected.params, actual.params)]
    assert actual.slots.keys() == expected.slots.keys()
    pairs += [(values, actual.slots[slot]) for slot, values in expected.slots.items()]
    for wanted, found in pairs:
        check_names(wanted, found)
        for key, value in wanted.items():
            limit = LIMITS["float64"].losses * np.abs(value).max()
            np.testing.assert_allclose(found[key], value, rtol=0, atol=limit, err_msg=key)


def test_state_is_a_copy(backend: type[Backend]) -> None:
    problem = OPTIMIZERS[1].problem("float64")
    kept = {key: value.copy() for key, value in problem.state.params.items()}
    one = problem.build(backend)
    state = one.state()
    problem.train(one, 0, 2)
    for values in (state.params, problem.state.params):
        for key, value in kept.items():
            np.testing.assert_array_equal(values[key], value)
    assert not any(value.any() for value in state.slots["velocity"].values())


# ---------------------------------------------------------------------------------------- the data


def test_shared_data_equal_repeated_data(backend: type[Backend]) -> None:
    problem = THREE.problem("float64")
    shared = Data(problem.data.x[:1], problem.data.y[:1])
    repeated = Data(np.repeat(shared.x, 3, axis=0), np.repeat(shared.y, 3, axis=0))
    results = [trained(replace(problem, data=data), backend) for data in (shared, repeated)]
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=LIMITS["float64"].forward)


def trained(problem: Problem, backend: type[Backend]) -> tuple[Array, Array]:
    """The losses of ten steps, and then the outputs for the training data."""
    one = problem.build(backend)
    return problem.train(one, 0, 10), one.predict(problem.data.x)


@pytest.mark.parametrize("time_steps", [1, 9, 40])
def test_predict_takes_any_number_of_time_steps(backend: type[Backend], time_steps: int) -> None:
    problem = THREE.problem("float64")
    x = np.random.default_rng(0).standard_normal((3, 5, time_steps, problem.model.features))
    expected, actual = (problem.build(c).predict(x) for c in (NumpyBackend, backend))
    check_forward(expected, actual, "float64")


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_predict_carries_the_state_over_padding(backend: type[Backend], cell: str) -> None:
    """Two steps of nonsense behind the real ones, in one sample out of two."""
    problem = Case(f"contract-padding-{cell}", cell, layers=2, time_steps=6).problem("float64")
    x, mask = problem.data.x[:, :10].copy(), np.ones((1, 10, 6), bool)
    x[:, ::2, 4:], mask[:, ::2, 4:] = 99.0, False
    one = problem.build(backend)
    found, whole, cut = one.predict(x, mask), one.predict(x), one.predict(x[:, :, :4])
    check_forward(cut[:, ::2], found[:, ::2], "float64")
    check_forward(whole[:, 1::2], found[:, 1::2], "float64")


@pytest.mark.parametrize("precision", list(LIMITS))
def test_float64_data_are_trained_on_in_the_precision_asked(
    backend: type[Backend], precision: str
) -> None:
    problem = SGD.problem(precision)
    wide = replace(problem, data=SGD.problem("float64").data)
    (losses, outputs), (expected, _) = (trained(p, backend) for p in (wide, problem))
    check_forward(expected, losses, "float64")  # the same arithmetic, hence the same rounding
    assert outputs.dtype == precision
    assert losses.dtype == np.float64
    assert losses.shape == (10, 1)
    np.testing.assert_array_equal(losses, losses.astype(precision))  # each is one of its numbers


@pytest.mark.parametrize("form", ["logits", "clipped", "log_clamped"])
def test_gradient_at_a_logit_of_zero(backend: type[Backend], form: str) -> None:
    """All weights zero: every output is exactly 0, and ∂L/∂(head bias) is the mean of ½ − y. There
    max(o, 0) and |o| have kinks, in which automatic differentiation may take another slope."""
    problem = Case("zero-logit", loss="bce", rules=(("bce", form),)).problem("float64")
    params = {name: 0 * value for name, value in problem.state.params.items()}
    rows = problem.batches[0]
    found = gradients(backend, problem.model, problem.training, problem.data, State(params), rows)
    y = problem.data.y[0, rows[0]]
    np.testing.assert_allclose(found["head.bias"][0], (0.5 - y).mean(axis=0) / y.shape[1])
