"""Padding: it enters no moment and no loss, and targets and masks that do not fit are refused."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.core.random_streams import stream
from harness.tasks import Array, Samples
from harness.training.splits import Split, make_splits
from tests.support.given_samples import (
    Given,
    GivenSteps,
    given_task,
    one_line_about,
    random_arrays,
    random_mask,
)


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
        drawing = replace(given_task(0 * x, y, Masked), scale="none")
        splits = make_splits(replace(drawing, **changes), [0, 1, 2], "float64")
        return [len(a) for p in splits.parts.values() for a in (p.x, p.y, p.mask) if a is not None]

    x, y = random_arrays(0, 10, 2)
    assert lengths_of() == [3] * 9, "inputs and targets are the same, but not the masks"
    assert lengths_of(seed=5) == [1] * 9


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
    mine = given_task(x, y, Sometimes, random_mask())
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
        drawing = Probed(
            *random_arrays(1, 10, 4, 2),
            name="given",
            samples=10,
            val_fraction=0.2,
            test_fraction=0.2,
            scale="standard",
            seed=None,
            legacy_seed=None,
        )
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
