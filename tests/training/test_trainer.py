"""The loop keeps its promises to any backend: decided with one whose losses are written beforehand.

Which batches a backend is asked for and in which order, and what becomes of its answers: epoch
loss, journal, divergence, timings.
"""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from backends import Array, Backend, State
from harness.core.errors import Diverged
from harness.tracking.journal import read
from harness.training.splits import Splits
from harness.training.trainer import Outcome
from tests.support.scripted_training import VAL, N, Scripted, Train, settings, splits


@pytest.mark.parametrize(
    ("batch_size", "last_batch", "shapes"),
    [
        (4, "keep", [(2, 1, 4), (1, 1, 2)]),
        (4, "drop", [(2, 1, 4)]),
        (5, "keep", [(2, 1, 5)]),
        (1, "keep", [(10, 1, 1)]),
        (10, "keep", [(1, 1, 10)]),
        (99, "keep", [(1, 1, 10)]),
        (99, "drop", [(1, 1, 10)]),
    ],
)
def test_an_epoch_is_its_full_batches_and_then_the_rest(
    train: Train, batch_size: int, last_batch: str, shapes: list[tuple[int, ...]]
) -> None:
    run = settings(batch_size=batch_size, semantics={"last_batch": last_batch})
    calls = train(run).first.calls
    assert [batches.shape for batches, _ in calls] == shapes * 3
    assert [lr.shape for _, lr in calls] == [shape[:2] for shape in shapes] * 3


def orders(backend: Scripted, calls_per_epoch: int) -> list[Array]:
    """The order in which each epoch visited its samples, `(R, N)`."""
    flat = [b.swapaxes(0, 1).reshape(b.shape[1], -1) for b, _ in backend.calls]
    epochs = range(0, len(flat), calls_per_epoch)
    return [np.concatenate(flat[i : i + calls_per_epoch], axis=1) for i in epochs]


def test_every_sample_is_visited_once_in_an_order_of_its_own(train: Train) -> None:
    visited = orders(train(settings(replicas=2, epochs=5)).first, 2)
    assert len(visited) == 5
    for order in visited:
        assert np.sort(order, axis=1).tolist() == [list(range(N))] * 2
    every = [tuple(row) for order in visited for row in order]
    assert len(set(every)) == 10, "no two epochs and no two replicas share an order"


def test_without_shuffling_samples_come_in_order(train: Train) -> None:
    visited = orders(train(settings(replicas=2, shuffle=False)).first, 2)
    assert [order.tolist() for order in visited] == [[list(range(N))] * 2] * 3


def test_a_replica_has_the_order_of_its_own_seed(train: Train) -> None:
    together = orders(train(settings(replicas=3, seed=5)).first, 2)
    for r in range(3):
        alone = orders(train(settings(seed=5 + r)).first, 2)
        assert [order[r].tolist() for order in together] == [order[0].tolist() for order in alone]


def test_training_again_visits_in_the_same_order(train: Train) -> None:
    once, again = (orders(train(settings()).first, 2) for _ in range(2))
    assert [o.tolist() for o in once] == [o.tolist() for o in again]


def test_dropping_leaves_out_other_samples_each_epoch(train: Train) -> None:
    run = settings(epochs=20, semantics={"last_batch": "drop"})
    visited = orders(train(run).first, 1)
    assert {len(set(order[0])) for order in visited} == {8}
    assert set(np.concatenate(visited, axis=1)[0]) == set(range(N))


@pytest.mark.parametrize(
    ("semantics", "batch_size", "losses", "expected"),
    [
        ({}, 4, [1, 2, 6], (4 * 1 + 4 * 2 + 2 * 6) / 10),
        ({"epoch_loss": "batches"}, 4, [1, 2, 6], (1 + 2 + 6) / 3),
        ({"last_batch": "drop"}, 4, [1, 2], 1.5),
        ({"last_batch": "drop", "epoch_loss": "batches"}, 4, [1, 2], 1.5),
        ({}, 99, [7], 7),
    ],
)
def test_the_epoch_loss_is_a_mean_over_samples_unless_asked_otherwise(
    train: Train, semantics: dict[str, str], batch_size: int, losses: list[int], expected: float
) -> None:
    run = settings(epochs=1, batch_size=batch_size, semantics=semantics)
    done = train(run, losses)
    assert done.metric("train/loss") == [[pytest.approx(expected, rel=1e-15)]]
    assert done.outcome.values["train/loss"] == pytest.approx([expected], rel=1e-15)


def test_the_epoch_loss_is_per_replica_and_in_original_units(train: Train) -> None:
    run = settings(replicas=2, epochs=1, batch_size=5)
    done = train(run, [[1, 10], [3, 30]], data=splits(y_std=3.0))
    assert done.metric("train/loss") == [[pytest.approx(9 * 2), pytest.approx(9 * 20)]]


def test_every_epoch_is_journalled_under_its_number_from_1(train: Train) -> None:
    done = train(settings(batch_size=N), [3, 2, 1], [[30.0], [20.0], [10.0]])
    steps = [event["step"] for event in done.events if event["kind"] == "metrics"]
    assert steps == [1, 2, 3]
    assert done.metric("train/loss") == [[3.0], [2.0], [1.0]]
    assert done.metric("val/loss") == [[pytest.approx(v)] for v in (30.0, 20.0, 10.0)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_ends_training_at_once(
    train: Train, tmp_path: Path, value: float
) -> None:
    losses = np.ones((100, 2))
    losses[7, 1] = value  # the second step of the third epoch
    with pytest.raises(Diverged) as error:
        train(settings(replicas=2, seed=10, epochs=50), losses, VAL[:, :2])
    message = str(error.value)
    assert "epoch 3" in message
    assert "seeds 11)" in message, "the seed that diverged, and no other"
    assert "optimizer.lr=0.001" in message
    assert "trainer.clip=1" in message
    assert "\n" not in message
    metrics = [e for e in read(tmp_path / "0") if e["kind"] == "metrics"]
    assert [event["step"] for event in metrics] == [1, 2, 3], (
        "with all that was measured until then"
    )
    assert metrics[1]["values"]["val/loss"] == pytest.approx([6.0, 4.0])
    assert metrics[2]["values"]["train/loss"][0] == 1.0
    assert not np.isfinite(metrics[2]["values"]["train/loss"][1])


def test_a_validation_loss_that_is_not_finite_names_its_seed_as_well(train: Train) -> None:
    val = VAL[:, :2].copy()
    val[1, 1] = np.inf
    with pytest.raises(Diverged, match=r"epoch 2.*\b11\b"):
        train(settings(replicas=2, seed=10), val_losses=val)


@pytest.mark.parametrize(
    ("data", "changes", "cause"),
    [
        (splits(), {"clip": 1.0}, "optimizer.lr=0.001 is likely too large; try 0.0001"),
        (splits(largest=-109.0), {}, "inputs reach 109; try task.scale=standard"),
    ],
)
def test_the_likely_cause_is_named(
    train: Train, data: Splits, changes: dict[str, Any], cause: str
) -> None:
    with pytest.raises(Diverged) as error:
        train(settings(**changes), [[np.nan]] * 9, data=data)
    assert cause in str(error.value)
    assert "epoch 1" in str(error.value)


def test_no_epochs_means_no_training(train: Train) -> None:
    done = train(settings(epochs=0, patience=1), val_losses=VAL[:, 0])
    assert done.first.calls == []
    assert len(done.built) == 1
    assert done.outcome.backend is done.first
    assert (done.outcome.epochs, done.outcome.values) == (0, {})
    assert not done.metric("train/loss")
    assert set(done.outcome.timings()) == {"time/train_s", "time/compile_s"}
    assert done.outcome.timings()["time/train_s"] == 0


def test_timings_of_training(train: Train) -> None:
    timings = train(settings()).outcome.timings()
    assert set(timings) == {"time/train_s", "time/compile_s", "time/per_step_us"}
    assert all(np.isfinite(seconds) and seconds >= 0 for seconds in timings.values())


def untrained() -> Backend:
    start = State({"w": np.zeros((1, 1))}, {"m": {"w": np.zeros((1, 1))}})
    return cast(Backend, Scripted(start, np.ones((1, 1)), np.ones((1, 1))))


def test_timings_tell_the_first_epoch_from_a_usual_one() -> None:
    outcome = Outcome(
        backend=untrained(),
        construction_seconds=0.5,
        epoch_seconds=[3.0, 1.0, 1.5, 0.5],
        steps=40,
    )
    assert outcome.timings() == {
        "time/train_s": 4.0,
        "time/compile_s": 0.5 + (3.0 - 1.0),
        "time/per_step_us": 1e5,
    }


def test_a_single_epoch_cannot_tell_a_usual_step() -> None:
    outcome = Outcome(backend=untrained(), epoch_seconds=[2.0], steps=4)
    expected = {"time/train_s": 2.0, "time/compile_s": 0.0}
    assert outcome.timings() == expected
