"""A single entry beyond its limit is enough for each check of agreement to fail."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from backends import Array
from harness.core.difference import Difference, compare
from harness.core.model import Params
from harness.core.tolerances import LIMITS
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
    check_names(params(), {name: -value for name, value in params().items()})
    with pytest.raises(AssertionError, match="names"):
        check_names(params(), actual)


@pytest.mark.parametrize("stage", ["names", "weights"])
def test_another_form_is_named(stage: str) -> None:
    expected = params() | {"d": np.zeros(3)}
    found = compare(stage, expected, params() | {"c": np.zeros(3)}, "float64", {})
    assert found == Difference(
        stage=stage, tensor="c, d", error=np.inf, note="only one of the two has it"
    )
    other = params() | {"b": np.zeros((3, 8), "float32")}
    found = compare(stage, params(), other, "float64", {})
    form = "(3, 7) float64 and (3, 8) float32"
    assert found == Difference(
        stage=stage, tensor="b", error=np.inf, note=f"shape and precision: {form}"
    )
    assert found.beyond
    found = compare(stage, params(), params(), "float64", {})
    assert (found.stage, found.tensor, found.judged) == (stage, "b", True)


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
    wrong[0, 0, 5] += 1.0
    wrong[1, 2, 3, 1] += 1e-3
    found = compare("hidden states", {"": states}, {"": wrong}, "float64", {})
    assert found.beyond
    assert found.index == (1, 2, 3, 1)


def test_losses_name_the_first_step() -> None:
    losses = np.ones((9, 2))
    wrong = losses.copy()
    wrong[4:, 1] += 1e-3
    wrong[7, 0] = 5.0
    assert compare("losses", {"": losses}, {"": wrong}, "float64", {}).index == (4, 1)
    wrong = losses.copy()
    wrong[3, 0] += 1.2 * LIMITS["float64"].losses
    wrong[6, 1] += 1.8 * LIMITS["float64"].losses
    assert compare("losses", {"": losses}, {"": wrong}, "float64", {}).index == (3, 0)


@pytest.mark.parametrize("stage", ["hidden states", "losses", "outputs", "weights"])
def test_within_the_limit_the_worst_entry_is_named(stage: str) -> None:
    expected = np.ones((2, 3, 4, 5))
    actual = expected.copy()
    actual[0, 1, 1, 1] += 1e-13
    actual[1, 2, 3, 4] += 5e-13
    found = compare(stage, {"": expected}, {"": actual}, "float64", {"": np.array(1e-12)})
    assert not found.beyond
    assert found.index == (1, 2, 3, 4)
    assert found.error == pytest.approx(5e-13, rel=1e-2)
    assert found.ulps == pytest.approx(5e-13 / 2.0**-52, rel=1e-2)


def test_outputs_beyond_the_limit_name_the_worst_entry() -> None:
    expected = np.ones((2, 3))
    actual = expected.copy()
    actual[0, 1], actual[1, 2] = 1.1, 1.3
    assert compare("outputs", {"": expected}, {"": actual}, "float64", {}).index == (1, 2)


def test_a_layer_of_small_states_is_relative_to_itself() -> None:
    shape = (1, 2, 3, 2)  # (R, N, T, U)
    expected = {"0": np.ones(shape), "1": np.full(shape, 1e-9)}
    actual = expected | {"1": expected["1"] + 8 * np.finfo("float64").eps}
    found = compare("hidden states", expected, actual, "float64", {})
    assert (found.tensor, found.beyond) == ("1", True)


def test_an_entry_that_is_lost_is_beyond() -> None:
    """Relative to itself, 0 in the place of a number is off by exactly 1."""
    expected = np.ones((3, 2))
    actual = expected.copy()
    actual[1, 1] = 0.0
    assert compare("losses", {"": expected}, {"": actual}, "float64", {}).index == (1, 1)
    assert compare("weights", {"": expected}, {"": actual}, "float64", {}).beyond


def test_an_error_of_exactly_the_limit_is_within_it_and_hides_no_later_one() -> None:
    expected, band = np.ones((5, 1)), {"": np.array(0.5)}
    actual = expected.copy()
    actual[1] = 1.5
    found = compare("losses", {"": expected}, {"": actual}, "float64", band)
    assert (found.beyond, found.index, found.error, found.limit) == (False, (1, 0), 0.5, 0.5)
    actual[3] = 1.75
    found = compare("losses", {"": expected}, {"": actual}, "float64", band)
    assert (found.beyond, found.index, found.error) == (True, (3, 0), 0.75)


def test_an_entry_that_no_band_can_judge_hides_no_other() -> None:
    expected, band = np.ones((4, 1)), {"": np.array([[np.inf], [0.5], [0.5], [0.5]])}
    actual = np.array([[9.0], [1.0], [1.25], [1.0]])
    found = compare("losses", {"": expected}, {"": actual}, "float64", band)
    assert (found.index, found.error, found.left_out) == ((2, 0), 0.25, ())
    actual[2] = 1.75
    found = compare("losses", {"": expected}, {"": actual}, "float64", band)
    assert (found.beyond, found.index) == (True, (2, 0))


def test_where_nothing_is_judged_the_stage_and_its_limit_are_said() -> None:
    expected, actual = ({"": np.full((1, 2), value)} for value in (1.0, 2.0))
    found = compare("weights", expected, actual, "float64", {"": np.array(np.inf)})
    limit = LIMITS["float64"].gradient
    assert found == Difference(stage="weights", limit=limit, left_out=("",))
    assert not found.judged
    assert not found.beyond


def test_a_resumed_run_has_the_limit_of_all_steps_before_it() -> None:
    expected = {"": np.ones((1, 2))}
    for precision, limits in LIMITS.items():
        wider = max(limits.gradient, limits.losses)
        assert compare("resumed", expected, expected, precision, {}).limit == wider
        assert compare("weights", expected, expected, precision, {}).limit == limits.gradient


def test_values_that_are_infinite_or_nan_in_both_agree() -> None:
    values = np.array([[1.0, np.inf, np.nan, -np.inf]])
    assert not compare("outputs", {"": values}, {"": values.copy()}, "float64", {}).beyond
    other = np.array([[1.0, np.inf, np.nan, np.inf]])
    assert compare("outputs", {"": values}, {"": other}, "float64", {}).beyond
    assert compare("outputs", {"": values[:, 1:2]}, {"": np.ones((1, 1))}, "float64", {}).beyond


@pytest.mark.parametrize(("expected", "actual"), [(0.0, 1e-300), (1e-300, 1e300)])
def test_an_error_too_large_for_a_number_is_beyond_without_a_warning(
    expected: float, actual: float
) -> None:
    """Where all is 0, nothing may be off."""
    one, other = (np.array([[value, 0.0]]) for value in (expected, actual))
    found = compare("outputs", {"": one}, {"": other}, "float64", {})
    assert (found.beyond, found.index, found.error) == (True, (0, 0), np.inf)
    assert not compare("outputs", {"": one}, {"": one}, "float64", {}).beyond


def test_errors_are_relative_to_the_largest_finite_entry() -> None:
    expected = np.array([[1e-6, np.inf, np.nan]])
    actual = np.array([[1.01e-6, np.inf, np.nan]])
    found = compare("outputs", {"": expected}, {"": actual}, "float64", {})
    assert found.error == pytest.approx(0.01)


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
    expected = {"large": np.array([[0.25, 0.125], [4.0, 0.5]]), "cancels": np.zeros((2, 3))}
    for replica, largest in ((0, 0.25), (1, 4.0)):
        actual = {"large": expected["large"], "cancels": np.zeros((2, 3))}
        actual["cancels"][replica, 1] = 15 * unit * largest
        assert not compare(stage, expected, actual, precision, {}).beyond
        actual["cancels"][replica, 1] = 17 * unit * largest
        found = compare(stage, expected, actual, precision, {})
        assert found.beyond
        assert (found.tensor, found.index) == ("cancels", (replica, 1))


def test_rounding_of_one_slot_is_no_excuse_in_another() -> None:
    """In the same slot, the errors would be those of rounding."""
    off = 8 * np.finfo("float64").eps
    for slot, beyond in (("v", True), ("m", False)):
        expected = {"m of a": np.ones((1, 2)), f"{slot} of b": np.full((1, 2), 1e-9)}
        actual = expected | {f"{slot} of b": np.full((1, 2), 1e-9 + off)}
        found = compare("optimiser slots", expected, actual, "float64", {})
        assert (found.tensor, found.beyond) == (f"{slot} of b", beyond)
