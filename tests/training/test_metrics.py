"""The one ruler measures right: losses and accuracy against formulas written out naively here.

Cross-entropy is compared with −log p in 400 decimal digits, where nothing overflows and nothing
cancels, because its float64 form is the one place in which an evaluation can go wrong silently.
"""

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import product
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends import Array, Backend
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec
from harness.formats.trained_network import Network
from harness.runs.bound_comparison import constant_guess
from harness.runs.run_files import prediction_table
from harness.training.metrics import accuracy, evaluate, predict, sample_losses
from harness.training.splits import Scale, Split, Splits

# A time limit per example would make the outcome depend on the machine.
PROPERTY = settings(max_examples=100)
SHAPES = [(2, 5, 3), (2, 5, 4, 3), (1, 1, 1), (3, 2, 1, 1)]


def arrays(shape: tuple[int, ...], seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape), rng.normal(size=shape)


def cross_entropy(logit: float, label: float) -> float:
    """−log p of the label, p = 1 / (1 + e^−z), or 1 − p = 1 / (1 + e^z)."""
    with localcontext() as context:
        # e^−800 next to 1 takes 348 digits.
        context.prec = 400
        z = Decimal(logit) if label else -Decimal(logit)
        return float(-(1 / (1 + (-z).exp())).ln())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_mse_is_the_mean_squared_error_of_each_sample(shape: tuple[int, ...]) -> None:
    outputs, y = arrays(shape)
    losses = sample_losses("mse", outputs, y)
    assert losses.shape == shape[:2]
    for r, n in product(range(shape[0]), range(shape[1])):
        pairs = zip(outputs[r, n].ravel(), y[r, n].ravel(), strict=True)
        squares = [(out - true) ** 2 for out, true in pairs]
        assert losses[r, n] == pytest.approx(math.fsum(squares) / len(squares), rel=1e-14)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_bce_is_the_mean_cross_entropy_of_each_sample(shape: tuple[int, ...]) -> None:
    outputs, y = arrays(shape)
    labels = (y > 0).astype(float)
    losses = sample_losses("bce", outputs, labels)
    assert losses.shape == shape[:2]
    for r, n in product(range(shape[0]), range(shape[1])):
        pairs = zip(outputs[r, n].ravel(), labels[r, n].ravel(), strict=True)
        each = [cross_entropy(z, label) for z, label in pairs]
        assert losses[r, n] == pytest.approx(math.fsum(each) / len(each), rel=1e-14)


def bce(logit: float, label: float) -> float:
    return float(sample_losses("bce", np.full((1, 1, 1), logit), np.full((1, 1, 1), label))[0, 0])


@pytest.mark.parametrize("logit", [0.0, 50.0, -50.0, 800.0, -800.0])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_bce_of_extreme_logits(logit: float, label: float) -> None:
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        loss = bce(logit, label)
    # e^−800 is below float64's range, so there the right answer is zero.
    assert loss == pytest.approx(cross_entropy(logit, label), rel=1e-14, abs=1e-320)


@PROPERTY
@given(st.floats(-800, 800), st.sampled_from([0.0, 1.0]))
def test_bce_of_any_logit(logit: float, label: float) -> None:
    assert bce(logit, label) == pytest.approx(cross_entropy(logit, label), rel=1e-14, abs=1e-305)


@PROPERTY
@given(st.floats(-30, 30), st.floats(0, 1))
def test_bce_of_a_label_between_is_the_mixture(logit: float, label: float) -> None:
    mixture = label * cross_entropy(logit, 1.0) + (1 - label) * cross_entropy(logit, 0.0)
    assert bce(logit, label) == pytest.approx(mixture, rel=1e-12, abs=1e-13)


def test_targets_of_one_replica_serve_all() -> None:
    outputs, _ = arrays((3, 4, 2))
    y = np.zeros((1, 4, 2))
    assert np.array_equal(sample_losses("mse", outputs, y), (outputs**2).mean(axis=2))
    assert accuracy(outputs, y).shape == (3,)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_accuracy_is_the_share_of_labels_on_the_right_side(shape: tuple[int, ...]) -> None:
    outputs, y = arrays(shape)
    labels = (y > 0).astype(float)
    found = accuracy(outputs, labels)
    assert found.shape == shape[:1]
    for r in range(shape[0]):
        pairs = list(zip(outputs[r].ravel(), labels[r].ravel(), strict=True))
        right = sum((z > 0 and label == 1) or (z <= 0 and label == 0) for z, label in pairs)
        assert found[r] == right / len(pairs)


def test_accuracy_calls_a_logit_of_zero_a_no() -> None:
    assert accuracy(np.zeros((1, 4, 1)), np.array([[[0.0], [0.0], [0.0], [1.0]]])) == 0.75


@dataclass
class Oracle:
    """The part of a backend that an evaluation may use; it has been told its outputs."""

    outputs: Array
    mask: Array | None = None  # as it was given the last time

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        self.mask = mask
        return self.outputs


def oracle(outputs: Array) -> Backend:
    return cast(Backend, Oracle(outputs))


def splits(y: Array, mean: float = 0.0, std: float = 1.0, mask: Array | None = None) -> Splits:
    x = np.zeros((len(y), y.shape[1], 4, 1))
    ones = np.ones((1, 1, 1, 1))
    scale = Scale(x_mean=0 * ones, x_std=ones, y_mean=np.full(1, mean), y_std=np.full(1, std))
    return Splits({"train": Split(x, y, mask), "val": Split(x, y, mask)}, scale, "float64")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_evaluate_measures_every_replica_in_original_units(shape: tuple[int, ...]) -> None:
    outputs, y = arrays(shape)
    data = splits(y, mean=3.0, std=2.0)
    values = evaluate(oracle(outputs), data, "val", "mse")
    assert list(values) == ["val/loss"], "no accuracy without labels"
    for r in range(shape[0]):
        expected = np.mean((3 + 2 * outputs[r] - y[r]) ** 2)
        assert values["val/loss"][r] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_evaluate_adds_the_accuracy_of_labels(shape: tuple[int, ...]) -> None:
    outputs, y = arrays(shape)
    labels = (y > 0).astype(float)
    values = evaluate(oracle(outputs), splits(labels), "train", "bce")
    assert sorted(values) == ["train/accuracy", "train/loss"]
    losses = sample_losses("bce", outputs, labels)
    assert values["train/loss"] == pytest.approx(losses.mean(axis=1), rel=1e-15)
    assert np.array_equal(values["train/accuracy"], accuracy(outputs, labels))


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_without_targets_there_are_no_metrics(loss: str) -> None:
    outputs, y = arrays((2, 5, 3))
    assert evaluate(oracle(outputs), splits(np.full_like(y, np.nan)), "train", loss) == {}


def test_a_single_unknown_target_spoils_a_metric_so_there_is_none() -> None:
    outputs, y = arrays((2, 5, 3))
    y[1, 4, 2] = np.nan
    assert evaluate(oracle(outputs), splits(y), "train", "mse") == {}


def test_predictions_are_float64_whatever_the_backend_computes_in() -> None:
    outputs = np.full((1, 5, 1), 0.1, dtype=np.float32)
    data = splits(np.zeros((1, 5, 1)), mean=1e6, std=3.0)
    predicted = predict(oracle(outputs), data, data.train)
    assert predicted.dtype == np.float64
    # In float32 a mean of a million would leave two digits of the prediction.
    assert predicted[0, 0, 0] == float(np.float32(0.1)) * 3.0 + 1e6


# Two replicas of three samples with four time steps.
MASK = np.array([[4, 1, 2], [3, 4, 1]])[:, :, None] > np.arange(4)


@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("shared", [False, True], ids=["own mask", "shared mask"])
def test_losses_and_accuracy_are_means_over_real_steps(loss: str, shared: bool) -> None:
    outputs, y = arrays((2, 3, 4, 5))
    y = (y > 0).astype(float) if loss == "bce" else y
    mask = MASK[:1] if shared else MASK
    outputs[~np.broadcast_to(mask, (2, 3, 4))] = 1e6  # seen by nobody
    data = splits(y, mask=mask)
    found = evaluate(oracle(outputs), data, "val", loss)
    each = sample_losses(loss, outputs, y, mask)
    for r in range(2):
        real = (mask[0] if shared else mask[r]).nonzero()
        entries = [
            sample_losses(loss, outputs[r, n, None, None, t], y[r, n, None, None, t]).item()
            for n, t in zip(*real, strict=True)
        ]
        # Each real entry counts once, whatever the length of its sequence.
        assert found["val/loss"][r] == pytest.approx(math.fsum(entries) / len(entries), rel=1e-12)
        for n in range(3):
            own = [e for e, row in zip(entries, real[0], strict=True) if row == n]
            assert each[r, n] == pytest.approx(math.fsum(own) / len(own), rel=1e-12)
        if loss == "bce":
            right = (outputs[r][real] > 0) == (y[r][real] == 1)
            assert found["val/accuracy"][r] == pytest.approx(right.mean(), rel=1e-15)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 5)], ids=["every step", "per sequence"])
def test_a_mask_of_real_steps_alone_changes_no_metric(shape: tuple[int, ...]) -> None:
    outputs, y = arrays(shape)
    labels = (y > 0).astype(float)
    plain = evaluate(oracle(outputs), splits(labels), "val", "bce")
    masked = evaluate(oracle(outputs), splits(labels, mask=np.ones((2, 3, 4), bool)), "val", "bce")
    assert plain.keys() == masked.keys()
    for name, value in plain.items():
        np.testing.assert_allclose(masked[name], value, rtol=1e-14)


def test_targets_per_sequence_all_count_whatever_the_mask() -> None:
    outputs, y = arrays((2, 3, 5))
    plain = evaluate(oracle(outputs), splits(y), "val", "mse")
    masked = evaluate(oracle(outputs), splits(y, mask=MASK), "val", "mse")
    assert np.array_equal(plain["val/loss"], masked["val/loss"])


def test_the_backend_is_given_the_mask() -> None:
    outputs, y = arrays((2, 3, 5))
    teller = Oracle(outputs)
    data = splits(y, mask=MASK)
    predict(cast(Backend, teller), data, data.train)
    assert teller.mask is MASK


def model(returns: str) -> ModelSpec:
    return ModelSpec(
        cell="rnn",
        features=1,
        units=4,
        layers=1,
        activation="tanh",
        returns=returns,
        head="dense",
        outputs=2,
    )


def test_the_table_has_a_row_for_each_real_step_and_no_other() -> None:
    outputs, y = arrays((2, 3, 4, 2))
    data = splits(y, mask=MASK)
    table = prediction_table(model("every_step"), oracle(outputs), data, "mse")
    places = table.loc[table["split"] == "val", ["replica", "sample", "time_step", "output"]]
    expected = [(*place, o) for place in np.argwhere(MASK).tolist() for o in range(2)]
    assert [tuple(row) for row in places.to_numpy().tolist()] == expected
    index = tuple(places.to_numpy().T)
    rows = table.loc[places.index]
    assert np.array_equal(rows["predicted"], outputs[index])
    assert np.array_equal(rows["true"], y[index])


@pytest.mark.parametrize("mask", [MASK, MASK[:1], None], ids=["own", "shared", "none"])
def test_one_answer_per_sequence_is_that_of_its_last_real_step(mask: Array | None) -> None:
    outputs, y = arrays((2, 3, 2))
    table = prediction_table(model("last"), oracle(outputs), splits(y, mask=mask), "mse")
    rows = table[table["split"] == "train"]
    assert np.array_equal(rows["predicted"], outputs.ravel())
    lengths = np.full((2, 3), 4) if mask is None else np.broadcast_to(mask.sum(axis=2), (2, 3))
    assert rows["time_step"].tolist() == (lengths - 1).repeat(2).tolist()


SOFT = np.array([[[1.0], [0.0], [0.9]]])


def test_soft_labels_have_a_loss_and_no_accuracy() -> None:
    """Which side of 1/2 is right is a question of 0 or 1."""
    outputs, _ = arrays((2, 3, 1))
    assert evaluate(oracle(outputs), splits(SOFT), "val", "bce").keys() == {"val/loss"}
    hard = evaluate(oracle(outputs), splits(SOFT.round()), "val", "bce")
    assert hard.keys() == {"val/loss", "val/accuracy"}
    mixed = splits(SOFT.round())
    mixed.parts["train"] = splits(SOFT).train
    assert "val/accuracy" not in evaluate(oracle(outputs), mixed, "val", "bce"), "as in training"


def test_a_word_that_is_no_loss_is_taken_for_neither() -> None:
    outputs, y = arrays((1, 3, 2))
    data = splits(np.abs(y))
    one = np.ones(1)
    network = Network(
        model=model("last"),
        loss="mae",
        precision="float32",
        padded=False,
        weights={},
        x_mean=one,
        x_std=one,
        y_mean=0.0,
        y_std=1.0,
        origin="",
    )
    for use in (
        lambda: sample_losses("mae", outputs, y),
        lambda: evaluate(oracle(outputs), data, "val", "mae"),
        lambda: prediction_table(model("last"), oracle(outputs), data, "mae"),
        lambda: constant_guess("mae", data.train),
        lambda: network.title,
    ):
        with pytest.raises(ConfigError, match=r"^loss=mae: must be mse "):
            use()
