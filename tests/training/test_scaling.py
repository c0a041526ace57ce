"""The scaler sees the training split alone, and predictions come back to original units."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.training.metrics import sample_losses
from harness.training.splits import make_splits
from tests.support.given_samples import GivenLabels, given_task, random_arrays
from tests.support.tasks import DRAWN, task

# A time limit per example would make the outcome depend on the machine.
PROPERTY = settings(max_examples=150)


@pytest.mark.parametrize("shape", [(10, 2), (10, 4, 2)], ids=["per sequence", "every step"])
def test_the_scaler_sees_the_training_split_only(shape: tuple[int, ...]) -> None:
    x, y = random_arrays(0, *shape)
    before = make_splits(given_task(x, y), [0], "float64")
    x[6:] *= 1000
    y[6:] += 1000
    after = make_splits(given_task(x, y), [0], "float64")
    for one, other in zip(vars(before.scale).values(), vars(after.scale).values(), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(before.train.x, after.train.x)
    assert np.array_equal(before.training_data().y, after.training_data().y)
    assert not np.array_equal(before.parts["test"].x, after.parts["test"].x)


@pytest.mark.parametrize("shape", [(10, 2), (10, 4, 2)], ids=["per sequence", "every step"])
def test_standard_scale_is_zero_mean_and_unit_variance(shape: tuple[int, ...]) -> None:
    x, y = random_arrays(0, *shape)
    splits = make_splits(given_task(x, y), [0], "float64")
    data = splits.training_data()
    # Inputs by feature, targets all together.
    np.testing.assert_allclose(data.x.mean(axis=(1, 2)), 0, atol=1e-14)
    np.testing.assert_allclose(data.x.std(axis=(1, 2)), 1, rtol=1e-14)
    np.testing.assert_allclose([data.y.mean(), data.y.std()], [0, 1], atol=1e-14)
    # Every split goes through the same map, and the targets stay as they were drawn.
    unscaled = splits.parts["test"].x * splits.scale.x_std + splits.scale.x_mean
    np.testing.assert_allclose(unscaled[0], x[8:], rtol=1e-13)
    assert np.array_equal(splits.parts["test"].y[0], y[8:])


@PROPERTY
@given(st.integers(0, 2**32), st.sampled_from(DRAWN), st.sampled_from(["none", "standard"]))
def test_predictions_come_back_to_original_units(seed: int, option: str, scale: str) -> None:
    drawing = task(option, scale=scale, samples=40, val_fraction=0.0, test_fraction=0.0)
    splits = make_splits(drawing, [seed, seed + 1], "float64")
    back = splits.scale.to_original(splits.training_data().y)
    assert back.dtype == np.float64
    np.testing.assert_allclose(back, splits.train.y, rtol=1e-12, atol=1e-12)


@PROPERTY
@given(st.integers(0, 2**32), st.sampled_from(DRAWN))
def test_mse_in_scaled_units_times_the_variance_is_mse_in_original_units(
    seed: int, option: str
) -> None:
    drawing = task(option, scale="standard", samples=40, val_fraction=0.0, test_fraction=0.0)
    splits = make_splits(drawing, [seed, seed + 1], "float64")
    scaled = splits.training_data().y
    outputs = np.random.default_rng(seed).normal(size=scaled.shape)
    in_scaled = sample_losses("mse", outputs, scaled)
    in_original = sample_losses("mse", splits.scale.to_original(outputs), splits.train.y)
    np.testing.assert_allclose(
        in_scaled * splits.scale.y_std[:, None] ** 2, in_original, rtol=1e-12, atol=1e-12
    )


def test_labels_are_never_scaled() -> None:
    x, y = random_arrays(0, 10, 1)
    labels = (y > -2).astype(float)
    splits = make_splits(given_task(x, labels, GivenLabels), [0], "float64")
    assert np.array_equal(splits.training_data().y[0], labels[:6])
    assert np.array_equal(splits.scale.to_original(splits.train.y), splits.train.y)
    assert splits.train.x.std() == pytest.approx(1), "the inputs are"


# 0.1 cannot be written in binary: the mean of many of them may miss it by a unit in the last place.
@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, -1e6 / 3])
def test_a_constant_feature_keeps_its_scale_of_one(constant: float) -> None:
    x, y = random_arrays(0, 10, 2)
    x[:6, :, 1] = constant
    x[6:, :, 1] = constant + 1
    splits = make_splits(given_task(x, y), [0], "float64")
    assert splits.scale.x_std[0, 0, 0, 1] == 1
    np.testing.assert_allclose(splits.train.x[..., 1], 0, atol=1e-9)
    np.testing.assert_allclose(splits.parts["test"].x[..., 1], 1, atol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, -1e6 / 3])
def test_constant_targets_keep_their_scale_of_one(constant: float) -> None:
    x, y = random_arrays(0, 10, 3)
    y[:6] = constant
    splits = make_splits(given_task(x, y), [0], "float64")
    assert splits.scale.y_std.tolist() == [1]
    np.testing.assert_allclose(splits.training_data().y, 0, atol=1e-9)


def test_scaling_without_targets_leaves_predictions_finite() -> None:
    splits = make_splits(task("notebook/forward", scale="standard"), [0], "float64")
    outputs = np.arange(6.0).reshape(1, 1, 3, 2)
    assert np.array_equal(splits.scale.to_original(outputs), outputs)
