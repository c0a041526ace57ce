"""What each task draws, checked against definitions written out here a second time.

Decides three things: the data obey their definitions; the reference notebooks' data come out of the
real YAML to the last digit; and `best_loss` is what the best possible predictor really reaches.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.random_streams import stream
from harness.tasks import Samples, Task
from harness.training.metrics import sample_losses
from harness.training.splits import Splits, make_splits
from tests.support.tasks import DRAWN, run, task

SERIES = ("ramp", "sine", "ar")  # noise has no series: its targets continue nothing
SEEDS = st.integers(0, 2**64)
# A time limit per example would make the outcome depend on the machine.
PROPERTY = settings(max_examples=40)


def notebook(name: str) -> Splits:
    preset = run(f"experiment=notebook_{name}", "precision=float64")
    return make_splits(preset.task, preset.seeds, preset.precision)


def same(a: Samples, b: Samples) -> bool:
    return np.array_equal(a.x, b.x) and np.array_equal(a.y, b.y)


@PROPERTY
@given(SEEDS, st.integers(1, 20), st.integers(1, 12))
def test_sum_is_the_row_sum(seed: int, samples: int, length: int) -> None:
    drawn = task("sum", samples=samples, length=length).generate(seed)
    assert drawn.x.shape == (samples, length, 1)
    assert drawn.y.shape == (samples, 1)
    assert ((drawn.x >= 0) & (drawn.x < 1)).all()
    for row, total in zip(drawn.x[:, :, 0], drawn.y[:, 0], strict=True):
        assert total == pytest.approx(math.fsum(row), rel=1e-14)


@PROPERTY
@given(SEEDS, st.integers(1, 20), st.integers(1, 12))
def test_running_sum_is_the_sum_so_far(seed: int, samples: int, length: int) -> None:
    drawn = task("running_sum", samples=samples, length=length).generate(seed)
    assert drawn.y.shape == (samples, length, 1)
    for row, totals in zip(drawn.x[:, :, 0], drawn.y[:, :, 0], strict=True):
        expected = [math.fsum(row[: t + 1]) for t in range(length)]
        np.testing.assert_allclose(totals, expected, rtol=1e-14)


@PROPERTY
@given(SEEDS, st.integers(1, 20), st.integers(1, 12))
def test_binary_threshold_compares_the_mean_with_a_half(
    seed: int, samples: int, length: int
) -> None:
    drawn = task("binary", samples=samples, length=length).generate(seed)
    expected = [[float(math.fsum(row) > 0.5 * length)] for row in drawn.x[:, :, 0]]
    assert drawn.y.tolist() == expected


def test_binary_random_flips_a_fair_coin_whatever_the_input() -> None:
    drawn = task("binary", rule="random", samples=20_000).generate(0)
    label, mean = drawn.y[:, 0], drawn.x[:, :, 0].mean(axis=1)
    assert set(label) == {0.0, 1.0}
    # Four standard errors of a mean of 20,000 coin flips, and of a correlation of zero.
    assert abs(label.mean() - 0.5) < 4 * 0.5 / math.sqrt(20_000)
    assert abs(np.corrcoef(label, mean)[0, 1]) < 4 / math.sqrt(20_000)


@PROPERTY
@given(SEEDS, st.integers(1, 20))
def test_curve_is_one_period_of_a_sine(seed: int, samples: int) -> None:
    drawn = task("curve", samples=samples).generate(seed)
    assert drawn.x.shape == (samples, 1, 1), "a single time step"
    assert drawn.y.shape == (samples, 1)
    assert ((drawn.x >= 0) & (drawn.x < 1)).all()
    expected = [math.sin(math.tau * x) for x in drawn.x.ravel()]
    np.testing.assert_allclose(drawn.y.ravel(), expected, atol=1e-15)


@PROPERTY
@given(SEEDS, st.integers(1, 20), st.integers(1, 12), st.floats(-1, 1))
def test_unfold_goes_on_from_the_first_input_alone(
    seed: int, samples: int, length: int, ratio: float
) -> None:
    drawn = task("unfold", samples=samples, length=length, ratio=ratio).generate(seed)
    assert drawn.x.shape == drawn.y.shape == (samples, length, 1)
    assert ((drawn.x[:, 0] >= 0) & (drawn.x[:, 0] < 1)).all()
    assert not drawn.x[:, 1:].any()
    assert np.array_equal(drawn.y[:, 0], drawn.x[:, 0])
    np.testing.assert_allclose(drawn.y[:, 1:], ratio * drawn.y[:, :-1], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("targets", ["last", "every_step"])
@pytest.mark.parametrize("labels", [False, True])
def test_gaussian_settings_decide_the_targets_the_loss_and_the_bound(
    targets: str, labels: bool
) -> None:
    drawing = task("gaussian", targets=targets, labels=labels, samples=2000, features=3, outputs=2)
    drawn = drawing.generate(0)
    every = targets == "every_step"
    assert (drawing.every_step, drawing.loss) == (every, "bce" if labels else "mse")
    assert drawn.x.shape == (2000, 10, 3)
    assert drawn.y.shape == ((2000, 10, 2) if every else (2000, 2))
    assert abs(np.corrcoef(drawn.x[:, 0, 0], drawn.y.reshape(2000, -1)[:, 0])[0, 1]) < 0.09
    if labels:
        assert set(drawn.y.ravel()) == {0.0, 1.0}
        assert abs(drawn.y.mean() - 0.5) < 4 * 0.5 / math.sqrt(drawn.y.size)
        assert bound(drawing) == pytest.approx(math.log(2), rel=1e-15)
    else:
        assert abs(drawn.y.mean()) < 4 / math.sqrt(drawn.y.size)
        assert drawn.y.var() == pytest.approx(1, abs=4 * math.sqrt(2 / drawn.y.size))
        assert bound(drawing) == 1


@PROPERTY
@given(
    SEEDS,
    st.sampled_from(SERIES),
    st.integers(1, 20),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_targets_continue_the_series_of_their_window(
    seed: int, series: str, samples: int, window: int, horizon: int
) -> None:
    drawn = task(
        "multi_step", series=series, samples=samples, window=window, horizon=horizon
    ).generate(seed)
    assert drawn.x.shape == (samples, window, 1)
    assert drawn.y.shape == (samples, horizon)
    assert drawn.span is not None
    # The series, put together again: the first value of every window, then all of the last row.
    values = [*drawn.x[:-1, 0, 0], *drawn.x[-1, :, 0], *drawn.y[-1]]
    assert len(values) == samples + window + horizon - 1
    for i in range(samples):
        assert drawn.x[i, :, 0].tolist() == values[i : i + window]
        assert drawn.y[i].tolist() == values[i + window : i + window + horizon]
        assert drawn.span[i].tolist() == [i, i + window + horizon - 1]


@PROPERTY
@given(SEEDS, st.integers(1, 20), st.integers(1, 6), st.integers(1, 4))
def test_noise_samples_are_independent(seed: int, samples: int, window: int, horizon: int) -> None:
    drawn = task(
        "multi_step", series="noise", samples=samples, window=window, horizon=horizon
    ).generate(seed)
    assert drawn.x.shape == (samples, window, 1)
    assert drawn.y.shape == (samples, horizon)
    assert drawn.span is None, "nothing is shared, so no split need drop a sample"
    everything = np.concatenate([drawn.x.ravel(), drawn.y.ravel()])
    assert len(set(everything)) == samples * (window + horizon)


def test_ramp_counts_from_start_by_step() -> None:
    drawn = task("next_value", series="ramp", samples=4, window=2, start=-1.0, step=0.5).generate(0)
    assert drawn.x[:, :, 0].tolist() == [[-1.0, -0.5], [-0.5, 0.0], [0.0, 0.5], [0.5, 1.0]]
    assert drawn.y.tolist() == [[0.0], [0.5], [1.0], [1.5]]


@PROPERTY
@given(SEEDS, st.floats(2.5, 100.0))
def test_sine_obeys_the_recurrence_of_its_period(seed: int, period: float) -> None:
    drawn = task("next_value", period=period, samples=50, window=2).generate(seed)
    older, newer = drawn.x[:, 0, 0], drawn.x[:, 1, 0]
    # sin(φ + ω) = 2 cos ω · sin φ − sin(φ − ω)
    expected = 2 * math.cos(2 * math.pi / period) * newer - older
    np.testing.assert_allclose(drawn.y[:, 0], expected, atol=1e-12)


def test_ar_is_driven_by_white_noise_from_its_first_value_on() -> None:
    φ, σ = 0.8, 0.1
    drawn = task("next_value", series="ar", samples=50_000, window=1).generate(0)
    last, following = drawn.x[:, 0, 0], drawn.y[:, 0]
    shock = following - φ * last
    # 4 standard errors: of a standard deviation σ/√(2N), of a correlation 1/√N.
    assert shock.std() == pytest.approx(σ, rel=4 / math.sqrt(2 * 50_000))
    assert abs(np.corrcoef(shock[1:], shock[:-1])[0, 1]) < 4 / math.sqrt(50_000)
    assert abs(np.corrcoef(shock, last)[0, 1]) < 4 / math.sqrt(50_000)
    # No run-in: over seeds, the first value already has the spread of the stationary process.
    short = task("next_value", series="ar", samples=1, window=1)
    first = [short.generate(seed).x[0, 0, 0] for seed in range(1000)]
    assert np.std(first) == pytest.approx(σ / math.sqrt(1 - φ**2), rel=4 / math.sqrt(2 * 1000))


@pytest.mark.parametrize("option", [*DRAWN, "notebook/forward"])
def test_arrays_are_float64_with_one_row_per_sample(option: str) -> None:
    drawing = task(option)
    drawn = drawing.generate(0)
    assert (drawn.x.dtype, drawn.y.dtype) == (np.float64, np.float64)
    assert drawn.x.ndim == 3
    assert drawn.y.ndim == (3 if drawing.every_step else 2)
    assert len(drawn.x) == len(drawn.y) == drawing.samples
    if drawing.every_step:
        assert drawn.y.shape[1] == drawn.x.shape[1]


@PROPERTY
@given(st.sampled_from(DRAWN), SEEDS, SEEDS)
def test_the_seed_decides_the_data(option: str, seed: int, other: int) -> None:
    drawing = task(option, samples=5)
    assert same(drawing.generate(seed), drawing.generate(seed))
    assert (seed == other) == same(drawing.generate(seed), drawing.generate(other))


@pytest.mark.parametrize("option", DRAWN)
def test_seed_zero_is_a_seed(option: str) -> None:
    drawing = task(option, samples=5)
    assert same(drawing.generate(0), drawing.generate(0))
    # Zero must not read as "not set", neither here nor in the older generator.
    assert same(replace(drawing, seed=0).generate(7), drawing.generate(0))
    legacy = replace(drawing, legacy_seed=0)
    assert same(legacy.generate(7), legacy.draw(np.random.RandomState(0)))


@PROPERTY
@given(st.sampled_from(DRAWN), SEEDS, SEEDS, SEEDS)
def test_a_task_seed_fixes_the_data_over_replicas(
    option: str, own: int, one: int, other: int
) -> None:
    drawing = task(option, samples=5, seed=own)
    assert same(drawing.generate(one), drawing.generate(other))
    assert same(drawing.generate(one), task(option, samples=5).generate(own))


def test_notebook_ramp() -> None:
    parts = notebook("ramp").parts
    assert list(parts) == ["train", "probe"]
    windows = [[float(i + t) for t in range(5)] for i in range(100)]
    assert parts["train"].x[0, :, :, 0].tolist() == windows
    assert parts["train"].y[0].tolist() == [[float(i + 5)] for i in range(100)]
    probes = [[float(i + t) for t in range(5)] for i in range(100, 110)]
    assert parts["probe"].x[0, :, :, 0].tolist() == probes
    assert parts["probe"].y[0].tolist() == [[float(true)] for true in range(105, 115)]


def test_notebook_sum() -> None:
    parts = notebook("sum").parts
    x = np.random.RandomState(0).rand(100, 10)
    assert list(parts) == ["train"]
    assert np.array_equal(parts["train"].x, x[None, :, :, None])
    assert np.array_equal(parts["train"].y, x.sum(axis=1)[None, :, None])


def test_notebook_noise() -> None:
    parts = notebook("noise").parts
    rng = np.random.RandomState(42)
    x, y = rng.rand(1000, 10), rng.rand(1000)
    assert list(parts) == ["train", "test"]
    assert np.array_equal(parts["train"].x, x[None, :800, :, None])
    assert np.array_equal(parts["train"].y, y[None, :800, None])
    assert np.array_equal(parts["test"].x, x[None, 800:, :, None])
    assert np.array_equal(parts["test"].y, y[None, 800:, None])
    # As the notebook printed them, to the eight digits that NumPy shows.
    printed = [0.35121702, 0.83724, 0.06679708, 0.94234351, 0.98631684]
    assert parts["test"].y[0, :5, 0].round(8).tolist() == printed


def test_notebook_binary() -> None:
    train = notebook("binary").train
    assert train.x.shape == (1, 100, 10, 1)
    assert train.y.shape == (1, 100, 1)
    assert ((train.x >= 0) & (train.x < 1)).all()
    assert set(train.y.ravel()) == {0.0, 1.0}


def test_notebook_multi_step() -> None:
    parts = notebook("multi_step").parts
    rows = [[10, 20, 30], [20, 30, 40], [30, 40, 50], [40, 50, 60], [50, 60, 70]]
    assert parts["train"].x[0, :, :, 0].tolist() == rows
    assert parts["train"].y[0].tolist() == [[40, 50], [50, 60], [60, 70], [70, 80], [80, 90]]
    assert parts["probe"].x[0, :, :, 0].tolist() == [[70, 80, 90]]
    assert parts["probe"].y[0].tolist() == [[100, 110]]


def test_notebook_forward() -> None:
    train = notebook("forward").train
    assert train.x.tolist() == [[[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]]]
    assert train.y.shape == (1, 1, 3, 2), "two outputs at every step"
    assert np.isnan(train.y).all(), "and no targets"


def test_notebook_sgd_step() -> None:
    train = notebook("sgd_step").train
    assert train.x.shape == (1, 32, 10, 32)
    assert train.y.shape == (1, 32, 64)
    # Standard normal: mean 0 and variance 1 within four standard errors, N = 10,240 and 2,048.
    rng = stream(0, "data")
    assert np.array_equal(train.x[0], rng.standard_normal((32, 10, 32)))
    assert np.array_equal(train.y[0], rng.standard_normal((32, 64)))
    for numbers in (train.x, train.y):
        assert abs(numbers.mean()) < 4 / math.sqrt(numbers.size)
        assert numbers.var() == pytest.approx(1, abs=4 * math.sqrt(2 / numbers.size))


@pytest.mark.parametrize("horizon", [1, 2, 3])
def test_probes_follow_the_series_without_a_known_target(horizon: int) -> None:
    drawing = task("multi_step", series="ramp", samples=6, window=4, horizon=horizon, probe=3)
    drawn, probes = drawing.generate(0), drawing.probes()
    assert probes is not None
    end = drawn.y.max()
    assert probes.x[0, -1, 0] == end, "the first probe ends with the series"
    assert probes.y.min() == end + 1
    assert probes.x.shape == (3, 4, 1)
    assert probes.y.shape == (3, horizon)


def bound(drawing: Task) -> float:
    found = drawing.best_loss()
    assert found is not None
    assert found.reason
    return found.loss


def mse(predicted: np.ndarray, y: np.ndarray) -> float:
    return float(sample_losses("mse", predicted[None], y[None]).mean())


def test_best_loss_of_noise_is_that_of_predicting_the_mean() -> None:
    drawing = task("next_value", series="noise", samples=100_000)
    y = drawing.generate(0).y
    # Var((U − 1/2)²) = 1/180, so this is four standard errors.
    assert mse(np.full_like(y, 0.5), y) == pytest.approx(1 / 12, abs=4 * math.sqrt(1 / 180 / 1e5))
    assert bound(drawing) == pytest.approx(1 / 12, rel=1e-15)


@pytest.mark.parametrize("coefficient", [0.8, -0.5, 0.0])
@pytest.mark.parametrize("horizon", [1, 2, 3, 4])
def test_best_loss_of_ar_is_that_of_its_optimal_predictor(horizon: int, coefficient: float) -> None:
    drawing = task(
        "multi_step",
        series="ar",
        samples=100_000,
        window=3,
        horizon=horizon,
        ar_coefficient=coefficient,
    )
    drawn = drawing.generate(0)
    optimal = drawn.x[:, -1] * coefficient ** np.arange(1, horizon + 1)
    # Four standard errors; at horizon 4 an error is correlated with its neighbours' (Σρ² = 2.5).
    assert mse(optimal, drawn.y) == pytest.approx(bound(drawing), rel=0.03)
    # No linear rule on the whole window does better, fitted on the very data that it is judged on.
    fit = np.linalg.lstsq(drawn.x[:, :, 0], drawn.y, rcond=None)[0]
    assert mse(drawn.x[:, :, 0] @ fit, drawn.y) > 0.97 * bound(drawing)


def test_best_loss_of_coin_flips_is_that_of_a_logit_of_zero() -> None:
    drawing = task("binary", rule="random")
    y = drawing.generate(0).y[None]
    undecided = sample_losses("bce", np.zeros_like(y), y)
    assert undecided == pytest.approx(np.full_like(undecided, math.log(2)), rel=1e-15)
    assert bound(drawing) == pytest.approx(math.log(2), rel=1e-15)


def test_best_loss_of_unrelated_gaussian_targets_is_their_variance() -> None:
    drawing = task("notebook/sgd_step", samples=2000)
    y = drawing.generate(0).y
    assert mse(np.zeros_like(y), y) == pytest.approx(1, abs=4 * math.sqrt(2 / y.size))
    assert bound(drawing) == 1


CERTAIN = ["sum", "running_sum", "binary", "next_value", "curve", "unfold", "notebook/ramp"]


@pytest.mark.parametrize("option", CERTAIN)
def test_best_loss_is_zero_where_the_input_decides(option: str) -> None:
    assert bound(task(option)) == 0


def test_best_loss_is_unknown_without_targets() -> None:
    assert task("notebook/forward").best_loss() is None
