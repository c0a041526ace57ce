"""A single entry beyond its limit is enough for each check of agreement to fail."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from backends import Array
from harness.core.model import Params
from harness.core.tolerances import LIMITS
from harness.parity.difference import compare
from tests.support.agreement import (
    check_band,
    check_forward,
    check_gradients,
    check_losses,
    check_names,
    check_stage,
)

PRECISIONS = list(LIMITS)


def params() -> Params:
    rng = np.random.default_rng(0)
    return {"a": rng.standard_normal((3, 4, 5)), "b": rng.standard_normal((3, 7))}


@pytest.mark.parametrize(
    "actual",
    [
        {"a": params()["a"]},
        params() | {"c": np.zeros(3)},
        params() | {"b": np.zeros((3, 8))},
        params() | {"b": params()["b"].astype(np.float32)},
    ],
    ids=["missing", "too-many", "shape", "precision"],
)
def test_names_fail_by_one_entry(actual: Params) -> None:
    check_names(params(), params())
    with pytest.raises(AssertionError, match="names"):
        check_names(params(), actual)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_forward_fails_by_one_entry(precision: str, wrong: str) -> None:
    outputs = params()["b"]
    fails_by_one_entry(
        partial(check_forward, precision=precision),
        outputs,
        limit=LIMITS[precision].forward * np.abs(outputs).max(),
        wrong=wrong,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_gradients_fail_by_one_entry(precision: str, wrong: str) -> None:
    fails_by_one_entry(
        lambda e, a: check_gradients(params() | {"b": e}, params() | {"b": a}, precision),
        params()["b"],
        limit=LIMITS[precision].gradient * np.abs(params()["b"][1]).max(),
        wrong=wrong,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_losses_fail_by_one_entry(precision: str, wrong: str) -> None:
    losses = np.exp(params()["b"])
    fails_by_one_entry(
        partial(check_losses, precision=precision),
        losses,
        limit=LIMITS[precision].losses * losses[1, 2],
        wrong=wrong,
    )


@pytest.mark.parametrize("stage", ["optimiser slots", "weights"])
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_slots_and_weights_fail_by_one_entry(stage: str, wrong: str) -> None:
    fails_by_one_entry(
        lambda e, a: check_stage(stage, {"b": e}, {"b": a}, "float64"),
        params()["b"],
        limit=LIMITS["float64"].gradient * np.abs(params()["b"][1]).max(),
        wrong=wrong,
    )


@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_loss_of_one_step_fails_by_one_entry(wrong: str) -> None:
    losses = np.exp(params()["b"])
    fails_by_one_entry(
        lambda e, a: check_stage("loss", {"loss": e}, {"loss": a}, "float64"),
        losses,
        limit=LIMITS["float64"].forward * losses[1, 2],
        wrong=wrong,
    )


def test_hidden_states_name_the_earliest_time_step() -> None:
    states = np.random.default_rng(0).standard_normal((2, 3, 7, 4))  # (R, N, T, U)
    wrong = states.copy()
    wrong[1, 0, 5] += 1.0
    wrong[0, 2, 3, 1] += 1e-3
    found = compare("hidden states", {"": states}, {"": wrong}, "float64", {})
    assert found.beyond
    assert found.index == (0, 2, 3, 1)


def test_losses_name_the_first_step() -> None:
    losses = np.ones((9, 2))
    wrong = losses.copy()
    wrong[4:, 1] += 1e-3
    wrong[7, 0] = 5.0
    assert compare("losses", {"": losses}, {"": wrong}, "float64", {}).index == (4, 1)


def test_values_that_are_infinite_or_nan_in_both_agree() -> None:
    values = np.array([[1.0, np.inf, np.nan, -np.inf]])
    assert not compare("outputs", {"": values}, {"": values.copy()}, "float64", {}).beyond
    other = np.array([[1.0, np.inf, np.nan, np.inf]])
    assert compare("outputs", {"": values}, {"": other}, "float64", {}).beyond


@pytest.mark.parametrize("width", [1e-9, 1e-2], ids=["narrow", "wide"])
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_band_fails_by_one_entry(width: float, wrong: str) -> None:
    losses = np.exp(params()["b"])
    fails_by_one_entry(
        partial(check_band, precision="float32", band=np.full_like(losses, width)),
        losses,
        limit=max(width, LIMITS["float32"].losses) * losses[1, 2],
        wrong=wrong,
    )


def fails_by_one_entry(
    check: Callable[[Array, Array], None], expected: Array, limit: float, wrong: str
) -> None:
    """`check` lets the entry at (1, 2) be off by half of `limit`, but not by twice that or NaN."""
    actual = expected.copy()
    actual[1, 2] = expected[1, 2] + limit / 2
    check(expected, actual)
    actual[1, 2] = expected[1, 2] + 2 * limit if wrong == "beyond" else np.nan
    with pytest.raises(AssertionError, match="off by"):
        check(expected, actual)


def test_losses_refuse_more_steps_than_their_limit_is_for() -> None:
    losses = np.ones((LIMITS["float32"].steps + 1, 1))
    with pytest.raises(AssertionError, match="10 steps only"):
        check_losses(losses, losses, "float32")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("stage", ["gradients", "optimiser slots", "weights", "resumed"])
def test_rounding_of_the_largest_tensor_is_within_the_limit(stage: str, precision: str) -> None:
    """And no more than that: of a tensor that cancels, by replica."""
    unit = np.finfo(precision).eps
    expected = {"large": np.array([[1.0, 0.5], [4.0, 0.5]]), "cancels": np.zeros((2, 3))}
    for replica, largest in ((0, 1.0), (1, 4.0)):
        actual = {"large": expected["large"], "cancels": np.zeros((2, 3))}
        actual["cancels"][replica, 1] = 15 * unit * largest
        assert not compare(stage, expected, actual, precision, {}).beyond
        actual["cancels"][replica, 1] = 17 * unit * largest
        found = compare(stage, expected, actual, precision, {})
        assert found.beyond
        assert (found.tensor, found.index) == ("cancels", (replica, 1))


def test_rounding_of_one_slot_is_no_excuse_in_another() -> None:
    expected = {"m of a": np.ones((1, 2)), "v of a": np.full((1, 2), 1e-9)}
    actual = expected | {"v of a": np.full((1, 2), 1.001e-9)}
    assert compare("optimiser slots", expected, actual, "float64", {}).tensor == "v of a"
