"""Splits never share a value, the scaler never looks ahead, and replicas never mix.

Decides by random task settings (hypothesis) rather than by examples, since the mistakes here hide
at borders: a window that straddles two splits, a fraction that rounds to nothing, a feature that
never changes.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import ConfigError
from harness.core.random_streams import stream
from harness.tasks import Array, Samples, Task
from harness.training.metrics import sample_losses
from harness.training.splits import NAMES, Split, Splits, make_splits, split_rows
from tests.support.configs import config
from tests.support.tasks import DRAWN, task

# A time limit per example would make the outcome depend on the machine.
PROPERTY = settings(max_examples=150)

fractions = st.floats(0, 0.6) | st.sampled_from([0.0, 0.1, 0.2, 0.25, 1 / 3, 0.5])
sizes = st.tuples(st.integers(1, 60), fractions, fractions).filter(lambda s: s[1] + s[2] < 1)


@dataclass(frozen=True, eq=False)
class Given(Task):
    """A task whose samples are chosen by the test."""

    x: Array
    y: Array
    mask: Array | None = None

    def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
        return Samples(self.x, self.y, mask=self.mask)


@dataclass(frozen=True, eq=False)
class GivenLabels(Given):
    loss = "bce"


@dataclass(frozen=True, eq=False)
class GivenSteps(Given):
    every_step = True


def given_task(x: Array, y: Array, kind: type[Given] = Given, mask: Array | None = None) -> Given:
    """Ten samples: 6 to train, 2 to validate, 2 to test."""
    kind = GivenSteps if y.ndim == 3 else kind
    return kind("given", len(x), 0.2, 0.2, "standard", None, None, x, y, mask)


def asked_sizes(samples: int, val_fraction: float, test_fraction: float) -> dict[str, int]:
    n_val, n_test = round(samples * val_fraction), round(samples * test_fraction)
    return {"train": samples - n_val - n_test, "val": n_val, "test": n_test}


@PROPERTY
@given(sizes)
def test_independent_samples_are_cut_in_order_to_the_size_asked(
    size: tuple[int, float, float],
) -> None:
    samples, val_fraction, test_fraction = size
    asked = asked_sizes(*size)
    drawing = task("sum", samples=samples, val_fraction=val_fraction, test_fraction=test_fraction)
    wanted = {"train": 1.0, "val": val_fraction, "test": test_fraction}
    empty = [name for name in NAMES if wanted[name] and not asked[name]]
    if empty:
        with pytest.raises(ConfigError, match=rf"^task\.samples={samples}: .*{empty[0]} split"):
            split_rows(drawing, None)
        return
    rows = split_rows(drawing, None)
    assert {name: len(index) for name, index in rows.items()} == asked
    # In order, every sample once: disjoint, and nothing is thrown away.
    assert [*rows["train"], *rows["val"], *rows["test"]] == list(range(samples))


@PROPERTY
@given(sizes, st.integers(1, 8), st.integers(1, 4))
def test_windows_of_two_splits_share_no_position(
    size: tuple[int, float, float], window: int, horizon: int
) -> None:
    samples, val_fraction, test_fraction = size
    drawing = task(
        "multi_step",
        # The values of this ramp are the positions in the series.
        series="ramp",
        start=0.0,
        step=1.0,
        samples=samples,
        window=window,
        horizon=horizon,
        val_fraction=val_fraction,
        test_fraction=test_fraction,
    )
    expected = kept_windows(asked_sizes(*size), window + horizon)
    wanted = {"train": 1.0, "val": val_fraction, "test": test_fraction}
    empty = [name for name in NAMES if wanted[name] and not expected[name]]
    if empty:
        with pytest.raises(ConfigError) as error:
            make_splits(drawing, [0], "float64")
        assert one_line_about(error, f"task.samples={samples}", f"{empty[0]} split")
        return
    parts = make_splits(drawing, [0], "float64").parts
    first = {name: part.x[0, :, 0, 0].astype(int).tolist() for name, part in parts.items()}
    assert first == {name: kept for name, kept in expected.items() if kept}
    positions = {n: set(p.x.ravel()) | set(p.y.ravel()) for n, p in parts.items()}
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not positions.get(one, set()) & positions.get(other, set())


def kept_windows(asked: dict[str, int], width: int) -> dict[str, list[int]]:
    """By brute force: a window stays if it shares no position with one kept earlier on."""
    kept: dict[str, list[int]] = {}
    taken: set[int] = set()
    start = 0
    for name in NAMES:
        block = range(start, start + asked[name])
        kept[name] = [i for i in block if not taken & set(range(i, i + width))]
        taken |= {p for i in kept[name] for p in range(i, i + width)}
        start += asked[name]
    return kept


def one_line_about(error: pytest.ExceptionInfo[ConfigError], *words: str) -> bool:
    message = str(error.value)
    return "\n" not in message and all(word in message for word in words)


@PROPERTY
@given(sizes, st.sampled_from(DRAWN), st.sampled_from(["none", "standard"]))
def test_any_setting_gives_finite_data_or_a_config_error(
    size: tuple[int, float, float], option: str, scale: str
) -> None:
    samples, val_fraction, test_fraction = size
    changes = {"samples": samples, "val_fraction": val_fraction, "test_fraction": test_fraction}
    drawing = task(option, scale=scale, **changes)
    try:
        splits = make_splits(drawing, [0, 1], "float32")
    except ConfigError as error:
        assert "split empty" in str(error)
        return
    for part in splits.parts.values():
        assert np.isfinite(part.x).all()
        assert np.isfinite(part.y).all()
        assert part.x.dtype == np.float32
        assert part.y.dtype == np.float64
    data = splits.training_data()
    assert (data.x.dtype, data.y.dtype) == (np.float32, np.float32)
    assert np.isfinite(data.y).all()


def random_arrays(seed: int, *shape: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.normal(5, 3, (10, 4, 3))
    return x, rng.normal(-2, 7, shape)


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


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        pytest.param("sum", {"seed": 3}, id="task.seed"),
        pytest.param("sum", {"legacy_seed": 0}, id="task.legacy_seed"),
        pytest.param("next_value", {"series": "ramp"}, id="ramp"),
        pytest.param("notebook/forward", {}, id="no targets"),
    ],
)
def test_data_that_no_seed_changes_are_kept_once(option: str, changes: dict[str, object]) -> None:
    splits = make_splits(task(option, **changes), [0, 1, 2], "float64")
    for part in splits.parts.values():
        assert len(part.x) == len(part.y) == 1
    assert len(splits.scale.y_mean) == 1


@PROPERTY
@given(
    st.integers(0, 2**32),
    st.integers(2, 4),
    st.sampled_from(DRAWN),
    st.sampled_from(["none", "standard"]),
    st.sampled_from(["float32", "float64"]),
)
def test_a_replica_is_the_single_run_of_its_seed(
    seed: int, replicas: int, option: str, scale: str, dtype: str
) -> None:
    drawing = task(option, scale=scale, samples=60, val_fraction=0.3, test_fraction=0.3)
    seeds = list(range(seed, seed + replicas))
    together = make_splits(drawing, seeds, dtype)
    assert len(together.train.x) == replicas
    for r in range(replicas):
        alone = make_splits(drawing, [seeds[r]], dtype)
        assert list(alone.parts) == list(together.parts)
        for name, part in alone.parts.items():
            # To the last bit, or a batch of runs is not the same as the runs.
            assert np.array_equal(together.parts[name].x[r], part.x[0])
            assert np.array_equal(together.parts[name].y[r], part.y[0])
        assert np.array_equal(together.training_data().y[r], alone.training_data().y[0])


def four_parts() -> Splits:
    drawing = task("multi_step", series="ramp", samples=30, window=2, horizon=1, probe=2)
    return make_splits(drawing, [0], "float64")


@PROPERTY
@given(st.sampled_from([*NAMES, "probe"]), st.sampled_from(["x", "y"]), st.data())
def test_the_digest_changes_with_any_value(name: str, field: str, data: st.DataObject) -> None:
    splits = four_parts()
    array = getattr(splits.parts[name], field).copy()
    index = data.draw(st.integers(0, array.size - 1))
    # The smallest change there is.
    array.flat[index] = np.nextafter(array.flat[index], np.inf)
    changed = replace(splits.parts[name], **{field: array})
    other = replace(splits, parts=splits.parts | {name: changed})
    assert other.digest() != splits.digest()


def test_the_digest_is_repeatable_and_short_enough_for_mlflow() -> None:
    digests = {four_parts().digest() for _ in range(2)}
    assert len(digests) == 1
    assert 0 < len(digests.pop()) <= 36


def test_the_digest_knows_which_split_a_sample_is_in_and_its_shape() -> None:
    splits = four_parts()
    train, rest = splits.train, dict(list(splits.parts.items())[1:])
    renamed = replace(splits, parts={"test": train})
    flat = Split(train.x.reshape(1, -1, 1, 1), train.y)
    reshaped = replace(splits, parts={"train": flat, **rest})
    alone = replace(splits, parts={"train": train})
    digests = [s.digest() for s in (splits, renamed, reshaped, alone)]
    assert len(set(digests)) == 4


@pytest.mark.parametrize("name", ["next_value", "multi_step"])
def test_no_row_of_the_default_series_comes_back_in_another_split(name: str) -> None:
    """A period that is a whole number would repeat every training row in the test split."""
    splits = make_splits(config(f"task={name}").task, [0], "float64")
    train = splits.train.x[0, :, :, 0]
    for part in ("val", "test"):
        for row in splits.parts[part].x[0, :, :, 0]:
            assert np.abs(train - row).max(axis=1).min() > 1e-4


@pytest.mark.parametrize(
    ("x", "y"),
    [((20, 5), (20, 1)), ((20, 5, 1), (20,)), ((19, 5, 1), (19, 1)), ((20, 5, 1), (20, 5, 1))],
)
def test_what_a_users_task_draws_is_checked(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    class Mine(Task):
        def draw(self, rng: object) -> Samples:
            return Samples(np.zeros(x), np.zeros(y))

    mine = Mine("mine", 20, 0.1, 0.1, "none", None, None)
    with pytest.raises(ConfigError, match=r"draw\(\) gave .* must give x \(20, T, F\) and y"):
        make_splits(mine, [0], "float64")


def random_mask() -> Array:
    """Padding at the end, and in one sample in the middle as well."""
    mask = np.arange(4) < np.array([4, 1, 2, 3, 3, 1, 4, 2, 1, 3])[:, None]
    mask[3] = [True, False, True, False]
    return mask


@pytest.mark.parametrize("shape", [(10, 2), (10, 4, 2)], ids=["per sequence", "every step"])
def test_padding_is_zero_and_enters_no_moment(shape: tuple[int, ...]) -> None:
    x, y = random_arrays(0, *shape)
    mask = random_mask()
    x[~mask] = 1e6  # a user's task may leave anything there
    if y.ndim == 3:
        y[~mask] = np.nan
    splits = make_splits(given_task(x, y, mask=mask), [0], "float64")
    data = splits.training_data()
    assert data.mask is not None
    assert np.array_equal(data.mask[0], mask[:6])
    real = data.x[data.mask]  # (steps, F)
    np.testing.assert_allclose(real.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(real.std(axis=0), 1, rtol=1e-14)
    counted = data.y[data.mask] if y.ndim == 3 else data.y
    np.testing.assert_allclose([counted.mean(), counted.std()], [0, 1], atol=1e-14)
    for part in splits.parts.values():
        assert part.mask is not None
        assert part.has_targets
        assert not part.x[~part.mask].any()
        assert part.x[part.mask].all()
        if y.ndim == 3:
            assert not part.y[~part.mask].any()
    assert splits.train.counted is (splits.train.mask if y.ndim == 3 else None)


def test_a_constant_feature_is_constant_whatever_stands_at_padding() -> None:
    x, y = random_arrays(0, 10, 2)
    mask = random_mask()
    x[..., 1] = 0.1  # so 0.1 at real steps, and 0 behind
    splits = make_splits(given_task(x, y, mask=mask), [0], "float64")
    assert splits.scale.x_std[0, 0, 0, 1] == 1
    assert not splits.train.x[..., 1].any()


def test_the_last_target_is_that_of_the_last_real_step() -> None:
    x, y = random_arrays(0, 10, 4, 2)
    mask = random_mask()
    expected = [row[real.nonzero()[0][-1]].tolist() for row, real in zip(y, mask, strict=True)]
    splits = make_splits(given_task(x, y, mask=mask), [0], "float64", last_target=True)
    assert splits.train.y[0].tolist() == expected[:6]
    assert splits.parts["test"].y[0].tolist() == expected[8:]
    assert splits.train.mask is not None
    assert splits.train.counted is None, "one target per sequence, and all of them count"
    scaled = splits.training_data().y
    np.testing.assert_allclose([scaled.mean(), scaled.std()], [0, 1], atol=1e-14)


def test_replicas_whose_masks_differ_are_kept_apart() -> None:
    @dataclass(frozen=True, eq=False)
    class Masked(Given):
        def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
            return Samples(self.x, self.y, mask=rng.uniform(size=(10, 4)) < [1, 0.5, 0.5, 0.5])

    def lengths_of(**changes: int) -> list[int]:
        drawing = Masked("given", 10, 0.2, 0.2, "none", None, None, 0 * x, y)
        splits = make_splits(replace(drawing, **changes), [0, 1, 2], "float64")
        return [len(a) for p in splits.parts.values() for a in (p.x, p.y, p.mask) if a is not None]

    x, y = random_arrays(0, 10, 2)
    assert lengths_of() == [3] * 9, "inputs and targets are the same, but not the masks"
    assert lengths_of(seed=5) == [1] * 9


def test_the_digest_changes_with_the_mask() -> None:
    x, y = random_arrays(0, 10, 4, 2)
    splits = make_splits(given_task(x, y, mask=random_mask()), [0], "float64")
    digests = {splits.digest()}
    for name, part in splits.parts.items():
        assert part.mask is not None
        flipped = part.mask.copy()
        flipped.flat[-1] ^= True
        for mask in (flipped, None):
            changed = replace(splits, parts=splits.parts | {name: replace(part, mask=mask)})
            digests.add(changed.digest())
    assert len(digests) == 7, "as drawn, and two changes to each of three splits"


@pytest.mark.parametrize(
    "mask",
    [
        pytest.param(np.ones((10, 5), bool), id="shape"),
        pytest.param(np.ones((10, 4)), id="numbers"),
        pytest.param(np.arange(10)[:, None] > np.zeros(4), id="an empty sample"),
    ],
)
def test_a_mask_that_fits_nothing_is_refused(mask: Array) -> None:
    x, y = random_arrays(0, 10, 2)
    with pytest.raises(ConfigError, match=r"draw\(\) gave a mask .* must be \(10, 4\) of bool"):
        make_splits(given_task(x, y, mask=mask), [0], "float64")


@pytest.mark.parametrize("shape", [(10, 2), (10, 4, 2)], ids=["per sequence", "every step"])
def test_targets_are_known_or_unknown_altogether(shape: tuple[int, ...]) -> None:
    x, y = random_arrays(0, *shape)
    y[9, ..., 0] = np.nan  # of the test split alone
    for mask in (None, random_mask()):
        with pytest.raises(ConfigError) as error:
            make_splits(given_task(x, y, mask=mask), [0], "float64")
        assert one_line_about(error, "task=given: y is nan in the test split, row 1 (sample 9 of")
        splits = make_splits(given_task(x, y * np.nan, mask=mask), [0], "float64")
        assert not any(part.has_targets for part in splits.parts.values())


def test_a_seed_without_a_mask_has_real_steps_only() -> None:
    @dataclass(frozen=True, eq=False)
    class Sometimes(Given):
        def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
            x = rng.uniform(1, 2, size=(10, 4, 3))
            return Samples(x, self.y, mask=self.mask if x.sum() < middle else None)

    x, y = random_arrays(0, 10, 2)
    sums = [np.sum(stream(s, "data").uniform(1, 2, size=(10, 4, 3))) for s in (0, 1)]
    middle = sum(sums) / 2
    masked = int(np.argmin(sums))
    mine = Sometimes("given", 10, 0.2, 0.2, "standard", None, None, x, y, random_mask())
    for seeds in ([0, 1], [1, 0]):
        for part in make_splits(mine, seeds, "float64").parts.values():
            assert part.mask is not None
            assert part.mask.all(axis=(1, 2)).tolist() == [seed != masked for seed in seeds]
            assert np.array_equal(part.x.any(axis=3), part.mask)


@dataclass(frozen=True, eq=False)
class Probed(GivenSteps):
    asked: Samples | None = None

    def probes(self) -> Samples | None:
        return self.asked


def test_probes_are_checked_and_padded_as_samples_are() -> None:
    x, y = random_arrays(0, 10, 4, 2)
    mask = random_mask()

    def probe(x: Array, y: Array, mask: Array | None) -> Split:
        asked = Samples(x[:5], y[:5], mask=None if mask is None else mask[:5])
        drawing = Probed("given", 10, 0.2, 0.2, "standard", None, None, *random_arrays(1, 10, 4, 2))
        return make_splits(replace(drawing, asked=asked), [0], "float64").parts["probe"]

    y[~mask] = np.nan
    found = probe(x, y, mask)
    assert found.has_targets
    assert not found.y[0][~mask[:5]].any()
    assert not found.x[0][~mask[:5]].any()
    for wrong, message in (
        (
            (x, y, np.ones((10, 4))),
            r"probes\(\) gave a mask \(5, 4\) of float64; it must be \(5, 4\)",
        ),
        ((x, y, None), r"y is nan in the probe split, row 1 \(sample 1 of probes\(\)\), step 1"),
        ((x, y[:, -1], mask), r"probes\(\) gave x .* must give x \(N, T, F\) and y \(N, T, O\)"),
        ((x, y[:, 1:], mask), r"probes\(\) gave x .* must give x \(N, T, F\) and y \(N, T, O\)"),
    ):
        with pytest.raises(ConfigError, match=message):
            probe(*wrong)


@pytest.mark.parametrize(
    "changes",
    [
        {"series": "ramp", "start": 1e308, "step": 1e308},
        {"series": "ramp", "start": 1e308, "step": 1e308, "probe": 2, "samples": 1},
        {"series": "ar", "ar_noise": 1e308},
        {"series": "sine", "period": 1e-320},
    ],
    ids=str,
)
def test_a_series_that_leaves_all_range_is_refused_without_a_warning(
    changes: dict[str, object],
) -> None:
    drawing = task("next_value", **changes, val_fraction=0.0, test_fraction=0.0)
    with pytest.raises(ConfigError, match=r"^task=next_value: x is (-?inf|nan) in the train split"):
        make_splits(drawing, [0], "float64")
