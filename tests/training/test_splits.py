"""Splits never share a value, and replicas never mix.

Decides by random task settings (hypothesis) rather than by examples, since the mistakes here hide
at borders: a window that straddles two splits, a fraction that rounds to nothing.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import ConfigError
from harness.tasks import Samples, Task
from harness.training.splits import NAMES, make_splits, split_rows
from tests.support.configs import config
from tests.support.given_samples import one_line_about
from tests.support.tasks import DRAWN, task

# A time limit per example would make the outcome depend on the machine.
PROPERTY = settings(max_examples=150)

fractions = st.floats(0, 0.6) | st.sampled_from([0.0, 0.1, 0.2, 0.25, 1 / 3, 0.5])

sizes = st.tuples(st.integers(1, 60), fractions, fractions).filter(lambda s: s[1] + s[2] < 1)


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
        assert "split empty" in str(error)  # noqa: PT017 - either may be right
        return
    for part in splits.parts.values():
        assert np.isfinite(part.x).all()
        assert np.isfinite(part.y).all()
        assert part.x.dtype == np.float32
        assert part.y.dtype == np.float64
    data = splits.training_data()
    assert (data.x.dtype, data.y.dtype) == (np.float32, np.float32)
    assert np.isfinite(data.y).all()


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

    mine = Mine(
        name="mine",
        samples=20,
        val_fraction=0.1,
        test_fraction=0.1,
        scale="none",
        seed=None,
        legacy_seed=None,
    )
    with pytest.raises(ConfigError, match=r"draw\(\) gave .* must give x \(20, T, F\) and y"):
        make_splits(mine, [0], "float64")


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
