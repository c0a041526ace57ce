"""The control band: two backends that differ by rounding alone agree in float32, whatever pair of
them is compared, and one that differs by more does not.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backends import Array
from backends.numpy_backend import NumpyBackend
from backends.numpy_backend.network import Network
from harness.parity.control_band import control_band
from harness.parity.lockstep import check
from harness.parity.problem import Problem, configs, problem_of
from harness.parity.stages import trace
from tests.support.problems import Case
from tests.support.rounded_backend import rounded
from tests.support.wrong_backends import EmptyMemory, EpsilonBeforeCorrection


def some_problem(number: int, steps: int) -> Problem:
    """Every cell, optimiser, loss and rate, in changing company."""
    rng = np.random.default_rng(number)
    case = Case(
        f"band-{number}",
        ["rnn", "lstm", "gru"][number % 3],
        layers=1 + number % 2,
        returns=["last", "every_step"][rng.integers(2)],
        optimizer=["adam", "sgd", "rmsprop"][rng.integers(3)],
        lr=float(rng.choice([0.001, 0.01, 0.03, 0.1])),
        loss=["mse", "bce"][rng.integers(2)],
        masked=bool(rng.integers(2)),
    )
    return case.problem("float32", steps)


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "numbers"), [(10, range(20)), (60, range(24, 34))])
def test_rerounded_reference_agrees_at_all_stages(steps: int, numbers: range) -> None:
    judged = 0
    for number in numbers:
        problem = some_problem(number, steps)
        parity = check(problem, {"numpy": NumpyBackend, "rounded": rounded(number)})
        assert parity.first is None, f"{number}: {parity.first.sentence()}"
        judged += not parity.not_judged
    assert judged > 0.7 * len(numbers)


@pytest.mark.slow
def test_pairs_without_the_reference_stay_in_the_band() -> None:
    classes = {f"rounded {seed}": rounded(seed) for seed in range(5)}
    for number in (4, 5, 11):
        parity = check(some_problem(number, 120), classes)
        assert parity.first is None, f"{number}: {parity.first.sentence()}"


@pytest.mark.parametrize("steps", [10, 200])
def test_float32_is_judged_by_the_control_band(steps: int) -> None:
    """A backend whose weights are rounded anew at every step is not a different one."""
    case = Case("parity-band", "lstm", optimizer="adam", lr=0.03)
    problem = case.problem("float32", steps)
    assert check(problem, {"numpy": NumpyBackend, "rounded": rounded(0)}).agrees


@pytest.mark.parametrize("steps", [10, 60, 200])
def test_float32_gap_beyond_the_band_is_found(steps: int) -> None:
    problem = Case("parity-band-lost", "lstm", optimizer="adam", lr=0.03).problem("float32", steps)
    parity = check(problem, {"numpy": NumpyBackend, "broken": EpsilonBeforeCorrection})
    assert not parity.agrees


@pytest.mark.parametrize("steps", [10, 40])
def test_memory_that_is_not_resumed_is_found_in_float32(steps: int) -> None:
    problem = Case("parity-resumed", "lstm", optimizer="adam", lr=0.002).problem("float32", steps)
    parity = check(problem, {"numpy": NumpyBackend, "broken": EmptyMemory})
    assert parity.first is not None
    assert parity.first.stage == "resumed"


def test_losses_of_zero_have_a_control_band() -> None:
    problem = Case("parity-zero", returns="every_step").problem("float32", 20)
    zero = replace(problem.data, y=0 * problem.data.y)
    params = {name: 0 * value for name, value in problem.state.params.items()}
    still = replace(problem, data=zero, state=replace(problem.state, params=params))
    assert (control_band(still) == 0).all()


def test_steps_whose_band_is_wide_are_not_judged() -> None:
    problem = Case("parity-chaos", "lstm", optimizer="adam", lr=1.0).problem("float32", 200)
    parity = check(problem, {"numpy": NumpyBackend, "rounded": rounded(0)})
    assert parity.agrees
    assert parity.unjudged_from is not None
    assert 1 < parity.unjudged_from <= 200
    assert f"losses from step {parity.unjudged_from} on" in parity.not_judged
    assert parity.extent == "every stage that could be judged"


# ------------------------------------------------------------------------ gradients that cancel


class WrongNetwork(Network):
    """The candidate's gradients are 1 % too large."""

    def backward(self, d_outputs: Array, caches: list[Any]) -> None:
        super().backward(d_outputs, caches)
        U = self.model.units
        for name in ("kernel", "recurrent_kernel", "bias"):
            self.gradients[f"rnn.0.{name}"][..., 2 * U : 3 * U] *= 1.01


class WrongCell(NumpyBackend):
    _network = WrongNetwork


class NoisyNetwork(Network):
    """The candidate's bias is off by what rounding leaves of the largest gradient of all."""

    def backward(self, d_outputs: Array, caches: list[Any]) -> None:
        super().backward(d_outputs, caches)
        largest = max(np.abs(gradient).max() for gradient in self.gradients.values())
        self.gradients["rnn.0.bias"][..., 2] += np.spacing(largest)


class LeavesNoise(NumpyBackend):
    _network = NoisyNetwork


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_gradient_that_cancels_to_rounding_noise_agrees(optimizer: str, precision: str) -> None:
    problem = cancelling(optimizer, precision)
    bias = trace(NumpyBackend, problem).stages["gradients"]["rnn.0.bias"]
    assert np.abs(bias).max() < 16 * np.finfo(precision).eps  # noise, or nothing at all
    parity = check(problem, {"numpy": NumpyBackend, "noise": LeavesNoise})
    assert parity.first is None, parity.first.sentence()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_bug_beside_a_gradient_that_cancels_is_found(optimizer: str) -> None:
    parity = check(cancelling(optimizer, "float64"), {"numpy": NumpyBackend, "wrong": WrongCell})
    assert parity.first is not None
    assert parity.first.stage == "gradients"
    assert parity.first.blocks[0] == ("rnn.0.kernel", "c")


def cancelling(optimizer: str, precision: str) -> Problem:
    """Zero kernels, so p = 0.5, and as many labels 0 as 1: what the bias gets adds up to 0."""
    words = ["task=gaussian", "task.features=2", "task.length=5", "task.labels=true"]
    words += ["task.samples=8", "task.val_fraction=0", "task.test_fraction=0", "seed=1"]
    words += ["model=lstm", "model.units=1", "model.head=none", "semantics.kernel_init=zeros"]
    words += ["trainer.batch_size=8", "trainer.epochs=3", f"precision={precision}"]
    words += [f"optimizer={optimizer}", "optimizer.lr=0.01"]
    return problem_of(configs(["numpy"], words)[0], steps=24)
