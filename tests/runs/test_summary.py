"""How a loss is judged: against a constant that the training split tells, and never by the very
rows that it is judged on.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from backends import Array
from harness.runs.bound_comparison import compare_with_bound, constant_guess
from harness.tasks import Bound
from harness.training.splits import Scale, Split, Splits

CERTAIN = Bound(0.0, "it is certain")


def splits(train: Array, test: Array, mask: Array | None = None) -> Splits:
    """With targets `(R, N, O)` or `(R, N, T, O)`; the inputs do not matter."""
    ones = np.ones((1, 1, 1, 1))
    x = np.zeros((*train.shape[:2], 4, 1))
    parts = {"train": Split(x, train, mask), "test": Split(ones, test)}
    return Splits(
        parts, Scale(x_mean=0 * ones, x_std=ones, y_mean=np.zeros(1), y_std=np.ones(1)), "float64"
    )


def said(loss: str, outputs: Array, data: Splits) -> str:
    return compare_with_bound(CERTAIN, loss, "test", outputs, data).partition("; ")[2]


def test_a_single_test_row_is_compared_with_the_mean_of_the_training_targets() -> None:
    data = splits(np.array([[[1.0], [3.0]]]), np.array([[[6.0]]]))  # guess 2, which costs 16
    shares = {4.0: "25.00% of", 6.4: "1.00% of", 86.0: "400 times"}
    for output, share in shares.items():
        line = said("mse", np.array([[[output]]]), data)
        assert line == f"test/loss is {share} what constant guessing costs"
    best = said("mse", np.array([[[6.1]]]), data)
    assert best == "reached: test/loss is 0.06% of what constant guessing costs"


def test_each_output_and_each_replica_has_a_guess_of_its_own() -> None:
    train = np.array([[[0.0, 10.0], [2.0, 20.0]], [[4.0, 0.0], [4.0, 0.1]]])
    guess = constant_guess("mse", splits(train, train).train)
    assert guess.tolist() == [[[1.0, 15.0]], [[4.0, 0.05]]]
    shared = splits(train[:1], np.array([[[2.0, 15.0]]]))  # data that no seed changes
    outputs = np.array([[[1.0, 15.0]], [[2.0, 15.0]]])  # the guess itself, and no error
    assert said("mse", outputs, shared).startswith("test/loss is 50.00% of")


def test_labels_are_guessed_by_their_frequency() -> None:
    train = np.array([[[1.0], [1.0], [1.0], [0.0]]])
    guess = constant_guess("bce", splits(train, train).train)
    assert guess == pytest.approx(np.full((1, 1, 1), math.log(3)), rel=1e-15)
    data = splits(train, np.array([[[0.0]]]))
    # −ln(1/4) for the guess, −ln(1/2) for an undecided network.
    assert said("bce", np.zeros((1, 1, 1)), data).startswith("test/loss is 50.00% of")


def test_labels_that_are_all_the_same_leave_room_for_half_another() -> None:
    data = splits(np.ones((1, 4, 1)), np.array([[[0.0]]]))
    assert constant_guess("bce", data.train) == pytest.approx(np.full((1, 1, 1), math.log(7)))
    undecided = said("bce", np.zeros((1, 1, 1)), data)  # ln 2 / ln 8
    assert undecided.startswith("test/loss is 33.33% of")


def test_padding_does_not_enter_the_guess() -> None:
    train = np.array([[[[2.0], [99.0]], [[4.0], [6.0]]]])
    mask = np.array([[[True, False], [True, True]]])
    data = splits(train, np.zeros((1, 1, 2, 1)), mask)
    assert constant_guess("mse", data.train).tolist() == [[[[4.0]]]]
    labels = replace(data.train, y=np.array([[[[1.0], [1.0]], [[0.0], [1.0]]]]))
    assert constant_guess("bce", labels) == pytest.approx(np.full((1, 1, 1, 1), math.log(2)))
    last = Split(data.train.x, train[:, :, 0], mask)  # one target per sequence: all count
    assert constant_guess("mse", last).tolist() == [[[3.0]]]


def test_a_guess_without_error_is_no_measure() -> None:
    data = splits(np.full((1, 3, 1), 0.1), np.full((1, 2, 1), 0.1))
    line = "test/loss is 0.01, and constant guessing costs nothing"
    assert said("mse", np.full((1, 2, 1), 0.2), data) == line
