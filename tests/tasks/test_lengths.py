"""Sequences of unequal length: what `task.lengths` accepts, and what each task draws under it.

Decides that a mask says nothing false: the real part of every sample obeys the task's definition
as if the padding were not there, and all else is as it was without lengths.
"""

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from backends.numpy_backend import NumpyBackend
from harness.config.parsing import from_hydra
from harness.core.errors import ConfigError
from harness.sweeps.sweep import Sweep
from harness.tasks import Array, Samples, Task
from harness.tasks.lengths import bounds, draw_mask, last_step, last_values
from harness.training.plan import prepare
from harness.training.splits import make_splits
from tests.support.configs import composed, config
from tests.support.tasks import DRAWN, task

LONG = tuple(name for name in DRAWN if name != "curve")  # of which curve is a single step
WINDOWS = ("next_value", "multi_step")
VAL = {"val_fraction": 0.3, "test_fraction": 0.0}


def drawn_with(option: str, lengths: str, seed: int = 0, **changes: Any) -> tuple[Samples, Array]:
    """The samples, and each one's length."""
    samples = task(option, lengths=lengths, **changes).generate(seed)
    assert samples.mask is not None
    return samples, samples.mask.sum(axis=1)


def test_lengths_come_from_the_command_line_as_they_are_typed() -> None:
    assert config("task.lengths=3:10").task.lengths == "3:10"
    assert config("task.lengths=03:7").task.lengths == "3:7", "one spelling in the record"
    assert config("task.lengths=null").task.lengths is None


@pytest.mark.parametrize(("written", "narrated"), [("3:10", True), ('"3:10"', False)])
def test_lengths_come_from_a_yaml_file_with_quotes_or_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, written: str, narrated: bool
) -> None:
    """YAML 1.1 has numbers to the base of 60, so without quotes 3:10 arrives as 190."""
    (tmp_path / "mine.yaml").write_text(f"task: {{lengths: {written}}}")
    whole = OmegaConf.merge(composed(), OmegaConf.load(tmp_path / "mine.yaml"))
    assert isinstance(whole, type(composed()))
    with caplog.at_level(logging.WARNING):
        assert from_hydra(whole).task.lengths == "3:10"
    assert ("task.lengths=190: taken as '3:10'" in caplog.text) is narrated


def test_a_sweeps_jobs_are_named_by_lengths_as_they_are_typed() -> None:
    [override] = OverridesParser.create().parse_overrides(["task.lengths=2:4,3:5"])
    words = [f"task.lengths={value}" for value in override.sweep_string_iterator()]
    assert words[0] == r"task.lengths=2\:4", "as Hydra hands it to a job"
    sweep = Sweep(
        directory="", arguments=[], varying=["task.lengths"], total=2, results="results", uri=None
    )
    assert [sweep.job_name([word]) for word in words] == ["lengths=2:4", "lengths=3:5"]


@pytest.mark.parametrize(
    "value", ["0:4", "4:3", "3:11", "a:b", "3", "3-10", "3:", ":3", "-3:10", "1.5:3", "1:2:3", "''"]
)
def test_lengths_that_mean_nothing_are_refused(value: str) -> None:
    with pytest.raises(ConfigError) as error:
        config(f"task.lengths={value}")
    message = str(error.value)
    assert message.startswith(f"task.lengths={value.strip(chr(39))}: must be min:max")
    assert "1 <= min <= max <= 10" in message
    assert "\n" not in message


def test_the_window_is_the_length_of_a_forecast_and_curve_has_one_step() -> None:
    assert config("task=next_value", "task.window=12", "task.lengths=3:12").task.lengths == "3:12"
    with pytest.raises(ConfigError, match=r"max <= 5, the task's length"):
        config("task=next_value", "task.window=5", "task.lengths=3:6")
    with pytest.raises(ConfigError, match=r"such as 1:1, .* max <= 1, the task's length"):
        config("task=curve", "task.lengths=1:2")
    assert make_splits(task("curve", lengths="1:1"), [0], "float64").train.mask is not None


@pytest.mark.parametrize("generator", [np.random.default_rng, np.random.RandomState])
def test_every_length_is_equally_likely_and_padding_is_behind(generator: Any) -> None:
    mask = draw_mask(generator(0), 3, 6, 40_000, 8)
    assert mask.dtype == bool
    lengths = mask.sum(axis=1)
    assert np.array_equal(mask, np.arange(8) < lengths[:, None])
    found, counts = np.unique(lengths, return_counts=True)
    assert found.tolist() == [3, 4, 5, 6]
    assert np.abs(counts - 10_000).max() < 4 * math.sqrt(10_000 * 0.75)


class Edge:
    """A generator that draws the largest number below 1, or 0."""

    def __init__(self, value: float) -> None:
        self.value = value

    def uniform(self, size: int) -> Array:
        return np.full(size, self.value)


@pytest.mark.parametrize("high", [3, 4, 9, 1000])
def test_no_draw_leaves_the_range(high: int) -> None:
    low: Any = Edge(0.0)
    top: Any = Edge(np.nextafter(1.0, 0.0))
    assert draw_mask(low, 3, high, 1, high + 5).sum() == 3
    assert draw_mask(top, 3, high, 1, high + 5).sum() == high


@pytest.mark.parametrize("option", LONG)
@pytest.mark.parametrize("legacy_seed", [None, 0])
def test_lengths_change_no_other_number(option: str, legacy_seed: int | None) -> None:
    full = task(option, legacy_seed=legacy_seed, samples=200).generate(1)
    assert full.mask is None
    samples, lengths = drawn_with(option, "2:9", 1, legacy_seed=legacy_seed, samples=200)
    mask = samples.mask
    assert mask is not None
    assert set(lengths) == set(range(2, 10))
    assert not samples.x[~mask].any(), "padding is 0"
    for n, L in enumerate(lengths):
        start = 10 - L if option in WINDOWS else 0  # of a window, the last values are seen
        assert np.array_equal(samples.x[n, :L], full.x[n, start : start + L])
    if option in WINDOWS:
        assert np.array_equal(samples.y, full.y), "what comes next does not depend on the past seen"
        assert samples.span is not None
        assert full.span is not None
        assert np.array_equal(samples.span, full.span)
    if samples.y.ndim == 3:
        assert np.array_equal(samples.y[mask], full.y[mask])
        assert not samples.y[~mask].any()


def test_sum_and_mean_are_those_of_the_real_steps() -> None:
    samples, lengths = drawn_with("sum", "1:9")
    for row, total, L in zip(samples.x[:, :, 0], samples.y[:, 0], lengths, strict=True):
        assert total == pytest.approx(math.fsum(row[:L]), rel=1e-14)
    samples, lengths = drawn_with("binary", "1:9")
    for row, label, L in zip(samples.x[:, :, 0], samples.y[:, 0], lengths, strict=True):
        assert label == float(math.fsum(row[:L]) > 0.5 * L)
    assert 0.4 < samples.y.mean() < 0.6


def test_random_labels_are_the_same_coins_with_lengths() -> None:
    full = task("binary", rule="random").generate(0)
    samples, _ = drawn_with("binary", "1:9", rule="random")
    assert np.array_equal(samples.y, full.y)


@pytest.mark.parametrize("series", ["ramp", "noise", "sine", "ar"])
def test_a_window_ends_where_its_target_begins(series: str) -> None:
    full = task("multi_step", series=series).generate(0)
    samples, lengths = drawn_with("multi_step", "1:10", series=series)
    last = samples.x[np.arange(len(lengths)), lengths - 1]
    assert np.array_equal(last, full.x[:, -1])


def test_last_values_move_to_the_front() -> None:
    mask = np.array([[True, True, False], [True, False, False], [True, True, True]])
    values = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert last_values(values, mask).tolist() == [[2, 3, 0], [6, 0, 0], [7, 8, 9]]
    assert last_step(mask).tolist() == [1, 0, 2]
    assert last_step(np.array([True, False, True, False])) == 2


def test_a_sine_that_shows_a_single_value_has_no_known_bound() -> None:
    assert task("next_value", lengths="1:9").best_loss() is None
    known = task("next_value", lengths="2:9").best_loss()
    assert known is not None
    assert known.loss == 0


def test_probes_have_their_full_length() -> None:
    drawing = task("next_value", series="ramp", lengths="2:4", probe=3)
    splits = make_splits(drawing, [0, 1], "float64")
    assert splits.parts["probe"].mask is None
    assert splits.parts["probe"].x.all()
    assert splits.train.mask is not None
    assert len(splits.train.mask) == 2, "a ramp is always the same, but not its lengths"


def test_counting_without_targets_is_masked() -> None:
    samples, _ = drawn_with("notebook/forward", "2:2")
    assert samples.x.tolist() == [[[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 0]]]
    splits = make_splits(task("notebook/forward", lengths="2:2"), [0], "float64")
    assert not splits.train.has_targets


@pytest.mark.parametrize("option", DRAWN)
def test_a_replica_with_lengths_is_the_single_run_of_its_seed(option: str) -> None:
    lengths = "1:1" if option == "curve" else "2:9"
    drawing = task(option, lengths=lengths, scale="standard", samples=99, **VAL)
    together = make_splits(drawing, [4, 5], "float32")
    alone = make_splits(drawing, [5], "float32")
    for name, part in alone.parts.items():
        other = together.parts[name]
        assert part.mask is not None
        assert other.mask is not None
        assert np.array_equal(part.x[0], other.x[-1])
        assert np.array_equal(part.y[0], other.y[-1])
        assert np.array_equal(part.mask[0], other.mask[-1])


@dataclass(frozen=True)
class Largest(Task):
    """As a user writes it, without a thought of lengths."""

    length: int

    def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
        x = rng.uniform(size=(self.samples, self.length))
        return Samples(x[:, :, None], x.max(axis=1)[:, None])


@dataclass(frozen=True)
class LargestReal(Task):
    """As a user writes it who has lengths in mind; the base class does not know its `steps`."""

    steps: int

    def draw(self, rng: np.random.Generator | np.random.RandomState) -> Samples:
        x = rng.uniform(size=(self.samples, self.steps))
        mask = self.real_steps(rng, self.steps)
        largest = x.max(axis=1, initial=0, where=True if mask is None else mask)
        return Samples(x[:, :, None], largest[:, None], mask=mask)


def test_a_users_task_need_not_know_lengths() -> None:
    mine = Largest(
        name="largest",
        samples=20,
        val_fraction=0.0,
        test_fraction=0.0,
        scale="none",
        seed=None,
        legacy_seed=None,
        length=5,
    )
    assert mine.lengths is None
    assert make_splits(mine, [0], "float64").train.mask is None
    with pytest.raises(ConfigError, match=r"^task\.lengths=2:4: task=largest does not know"):
        make_splits(replace(mine, lengths="2:4"), [0], "float64")
    with pytest.raises(ConfigError, match=r"^task\.lengths=2:6: .* max <= 5, the task's length"):
        replace(mine, lengths="2:6")


def test_a_users_task_can_know_lengths() -> None:
    mine = LargestReal(
        name="largest",
        samples=20,
        val_fraction=0.0,
        test_fraction=0.0,
        scale="standard",
        seed=None,
        legacy_seed=None,
        steps=5,
        lengths="2:4",
    )
    train = make_splits(mine, [0], "float64").train
    assert train.mask is not None
    assert train.mask.sum(axis=2).max() <= 4
    assert not train.x[~train.mask].any()
    with pytest.raises(ConfigError, match=r"^task\.lengths=2:9: .* max <= 5, the task's length"):
        make_splits(replace(mine, lengths="2:9"), [0], "float64")


@pytest.mark.parametrize("option", ["sum", "running_sum"])
def test_training_sees_the_real_steps_and_nothing_else(option: str) -> None:
    """The masked run against the run of the same sequences cut to their one length."""
    changes = {"samples": 40, "scale": "standard", "val_fraction": 0.0, "test_fraction": 0.0}
    plan = prepare(replace(config(f"task={option}"), task=task(option, lengths="6:6", **changes)))
    masked = plan.splits.training_data()
    y = masked.y[:, :, :6] if masked.y.ndim == 4 else masked.y
    cut = replace(masked, x=masked.x[:, :, :6], y=y, mask=None)
    batches, lr = np.arange(40).reshape(5, 1, 8), np.full((5, 1), 0.01)
    losses = [
        NumpyBackend(plan.model, plan.training, data, plan.start).train_epoch(batches, lr)
        for data in (masked, cut)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_bounds_without_a_known_length() -> None:
    assert bounds("3:1000", None) == (3, 1000)
    with pytest.raises(ConfigError, match=r"such as 3:10, in whole numbers with 1 <= min <= max;"):
        bounds("3", None)
