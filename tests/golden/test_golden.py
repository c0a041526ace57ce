"""The golden numbers are those of this code, and each kind of change to it would show in them.

What the numbers are is said in `tests/golden/numbers.py`. Where a change is meant, `python -m
tests.golden` writes them anew, and says what has changed.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backends import Array
from harness.core.random_streams import batch_order, stream
from harness.tasks import Task
from harness.training.splits import split_rows
from tests.golden.__main__ import FILE
from tests.golden.fingerprints import differences, fingerprint
from tests.golden.numbers import (
    Settings,
    data,
    data_cases,
    everything,
    initialisers,
    orders,
    settings,
    training,
)


@pytest.fixture(scope="module")
def given() -> Settings:
    return settings()


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_data_weights_batches_and_losses_are_what_they_were(
    given: Settings, golden: dict[str, Any]
) -> None:
    changed = differences(golden, everything(given))
    assert not changed, "python -m tests.golden writes them anew, if that is what you want"


def test_every_task_and_cell_is_there(given: Settings, golden: dict[str, Any]) -> None:
    assert len(given.tasks) == 15
    assert len(golden["training"]) == 15 * 3
    assert golden["data"].keys() == data_cases({n: r.task for n, r in given.tasks.items()}).keys()
    masked = [name for name, parts in golden["data"].items() if "train.mask" in parts]
    assert masked == [name for name in golden["data"] if "lengths" in name]
    assert len(masked) == 8
    for name, trained in golden["training"].items():
        assert len(trained["losses"]) == (0 if "forward" in name else 10), name
        assert trained["weights"].keys() >= {"rnn.0.kernel", "rnn.0.bias", "head.kernel"}


def other_stream(*added: str) -> Callable[..., np.random.Generator]:
    return lambda seed, *names: stream(seed, *names, *added)


class Wider(np.random.Generator):
    """Draws from a uniform distribution whose limits are off by a billionth."""

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        return super().uniform(low * (1 + 1e-9), high * (1 + 1e-9), size)


def wider(seed: int, *names: str | int) -> np.random.Generator:
    return Wider(stream(seed, *names).bit_generator)


def shifted_border(task: Task, span: Array | None) -> dict[str, Array]:
    """The last training sample validates."""
    rows = split_rows(task, span)
    return rows | {"train": rows["train"][:-1], "val": np.append(rows["train"][-1:], rows["val"])}


def exchanged(seeds: list[int], epoch: int, samples: int, shuffle: bool) -> Array:
    """An order with its first and its last sample exchanged."""
    order = batch_order(seeds, epoch, samples, shuffle).copy()
    order[:, [0, -1]] = order[:, [-1, 0]]
    return order


def epoch_before(seeds: list[int], epoch: int, samples: int, shuffle: bool) -> Array:
    return batch_order(seeds, epoch - 1, samples, shuffle)


# What is changed, by its place in the program; then what shows it: of the data, the initial weights
# and the training of the task `sum` in a simple network.
CHANGES = {
    "stream of the data": ("tasks.base.stream", other_stream("x"), {"data", "losses"}),
    "stream of the weights": ("core.initializers.stream", other_stream("x"), {"weights", "losses"}),
    "limit of an initialiser": ("core.initializers.stream", wider, {"weights", "losses"}),
    "border of a split": (
        "training.splits.split_rows",
        shifted_border,
        {"data", "batches", "losses"},
    ),
    "two samples of an order": ("training.schedule.batch_order", exchanged, {"batches", "losses"}),
    "epoch of an order": ("training.schedule.batch_order", epoch_before, {"batches", "losses"}),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_each_kind_of_change_is_noticed(
    given: Settings, golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place, change, expected = CHANGES[kind]
    monkeypatch.setattr(f"harness.{place}", change)
    run = given.tasks["sum"]
    trained = training(replace(run, model=given.models["rnn"]))
    before = golden["training"]["sum rnn"]
    shown = {part for part in before if differences(before[part], trained[part])}
    if differences(golden["data"]["sum"], data(run.task)):
        shown.add("data")
    assert shown == expected


def test_a_changed_limit_shows_wherever_it_is_drawn_from(
    golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.core.initializers.stream", wider)
    changed = {path.split("/")[1] for path in differences(golden["initialisers"], initialisers())}
    uniform = ("matched", "keras", "torch", "glorot_uniform", "uniform_units", "biases")
    assert changed == {name for name in golden["initialisers"] if name.startswith(uniform)}


def test_a_changed_order_shows_wherever_one_is_shuffled(
    golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.core.random_streams.stream", other_stream("x"))
    changed = {path.split("/")[1] for path in differences(golden["orders"], orders())}
    assert changed >= {name for name in golden["orders"] if not name.startswith("2 samples")}


def test_other_lengths_are_noticed(
    given: Settings, golden: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.tasks.lengths import draw_mask

    monkeypatch.setattr(
        "harness.tasks.base.draw_mask", lambda *given: np.roll(draw_mask(*given), 1, 0)
    )
    case = replace(given.tasks["sum"].task, lengths="2:9")
    changed = differences(golden["data"]["sum lengths=2:9"], data(case))
    assert "/train.mask/digest" in changed
    assert "/train.x" in changed
    assert "/train.y" in changed


def test_a_fingerprint_shows_every_entry_and_its_place() -> None:
    array = np.random.default_rng(0).normal(size=(3, 4, 5))
    before = fingerprint(array)
    assert not differences(before, fingerprint(np.nextafter(array, np.inf))), "the last bit is none"
    for place in np.ndindex(array.shape):
        changed = array.copy()
        changed[place] += 1e-9
        assert differences(before, fingerprint(changed)), place
    swapped = array.copy()
    swapped[0, 0, :2] = swapped[0, 0, 1::-1]
    others = [swapped, array.swapaxes(0, 2), array.reshape(12, 5), array.astype("float32"), -array]
    assert all(differences(before, fingerprint(other)) for other in others)
    mask = array > 0
    flipped = mask ^ (array == array.max())
    assert differences(fingerprint(mask), fingerprint(flipped))
    assert differences(fingerprint(mask), fingerprint(mask.reshape(5, 12)))


def test_differences_of_any_kind_are_found() -> None:
    before = {"a": [1.0, 2.0], "b": "word", "c": {"d": 3}}
    assert differences(before, {"a": [1.0, 2.0 + 1e-13], "b": "word", "c": {"d": 3}}) == []
    after = {"a": [1.0, 2.0 + 1e-11], "b": "wort", "c": {"d": 4}, "e": None}
    assert differences(before, after) == ["/a/1", "/b", "/c/d", "/e"]
    assert differences(before, {}) == ["/a", "/b", "/c"]
    assert differences({"a": [1.0]}, {"a": [1.0, 2.0]}) == ["/a"]
    assert differences({"a": 1.0}, {"a": float("nan")}) == ["/a"]
