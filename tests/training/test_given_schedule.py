"""`trainer.order=FILE` and `trainer.learning_rates=FILE`: a training goes as the files say."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.runs.run_key import run_key
from harness.sweeps.grouping import sharing_key
from harness.training.plan import Plan, prepare
from tests.support.configs import config
from tests.support.scripted_training import Train, rates, settings

# Two epochs of the ten samples, the second broken off; a sample twice, and batches of 3, 2 and 1.
ORDER = np.array(
    [
        [[9, 0, 1], [2, 2, 3], [4, 5, -1], [6, -1, -1]],
        [[7, 8, 9], [0, -1, -1], [-1, -1, -1], [-1, -1, -1]],
    ]
)
BATCHES = [[[9, 0, 1], [2, 2, 3]], [[4, 5]], [[6]], [[7, 8, 9]], [[0]]]
WORDS = ("task=sum", "task.samples=12", "task.val_fraction=0", "task.test_fraction=0.17")
WORDS += ("trainer.epochs=2", "trainer.batch_size=3", "precision=float64")


def saved(path: Path, array: Any) -> str:
    np.save(path, array)
    return str(path)


def ordered(folder: Path, order: Array = ORDER, **changes: Any) -> dict[str, Any]:
    path = saved(folder / "order.npy", order)
    return {"epochs": 2, "batch_size": 3, "order": path} | changes


def plan(*words: str) -> Plan:
    return prepare(config(*WORDS, *words))


def test_each_replica_takes_the_batches_of_the_file(train: Train, tmp_path: Path) -> None:
    done = train(settings(replicas=2, **ordered(tmp_path)))
    found = [batches for batches, _ in done.first.calls]
    for batches, wanted in zip(found, BATCHES, strict=True):
        for replica in range(2):
            assert batches[:, replica].tolist() == wanted
    assert done.outcome.steps == 6


def test_an_epochs_loss_counts_the_samples_of_its_batches(train: Train, tmp_path: Path) -> None:
    losses = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    done = train(settings(**ordered(tmp_path)), losses)
    first = (3 * 1 + 3 * 2 + 2 * 3 + 1 * 4) / 9
    assert done.metric("train/loss") == [[pytest.approx(first)], [pytest.approx((15 + 6) / 4)]]
    done = train(settings(semantics={"epoch_loss": "batches"}, **ordered(tmp_path)), losses)
    assert done.metric("train/loss") == [[2.5], [5.5]]


def test_each_step_has_the_rate_of_the_file(train: Train, tmp_path: Path) -> None:
    given = np.array([0.0, 0.001, 0.0005, 0.0003, 0.0002, 0.0001, 7e-5])
    path = saved(tmp_path / "rates.npy", given)
    lr = rates(train(settings(replicas=2, learning_rates=path, **ordered(tmp_path))))
    assert lr.tolist() == [[rate, rate] for rate in given[:6]]
    lr = rates(train(settings(epochs=2, batch_size=4, learning_rates=path)))
    assert lr[:, 0].tolist() == given[:6].tolist()


def test_a_schedule_spreads_over_the_steps_of_the_file(train: Train, tmp_path: Path) -> None:
    run = settings(**ordered(tmp_path, schedule="exponential", final_lr=0.1))
    assert rates(train(run))[:, 0] == pytest.approx(0.001 * 0.1 ** (np.arange(6) / 5), rel=1e-13)


UNFIT_ORDERS: dict[str, tuple[Any, str]] = {
    "one epoch": (ORDER[:1], "has 1 epochs; set trainer.epochs=1, not 2"),
    "wider": (np.pad(ORDER, ((0, 0), (0, 0), (0, 1)), constant_values=-1), "trainer.batch_size=4"),
    "too many samples": (np.where(ORDER == 9, 10, ORDER), "has sample 10; the training split has"),
    "a gap in a batch": (np.where(ORDER == 0, -1, ORDER), "epoch 1 is no order"),
    "a gap in an epoch": (ORDER[:, [0, 2, 1, 3]], "epoch 2 is no order"),
    "below -1": (np.where(ORDER == 5, -2, ORDER), "epoch 1 is no order"),
    "an empty epoch": (ORDER * [[[1]], [[0]]] - [[[0]], [[1]]], "epoch 2 is no order"),
    "flat": (ORDER[0], "has shape (4, 3); it must be (E, S, B)"),
    "no steps": (ORDER[:, :0], "has shape (2, 0, 3)"),
    "numbers": (ORDER.astype(float), "has float64; it must have whole numbers"),
    "objects": (np.array([None]), "has object; it must have whole numbers"),
}


@pytest.mark.parametrize("name", UNFIT_ORDERS)
def test_an_unfit_order_is_one_line(name: str, tmp_path: Path) -> None:
    order, message = UNFIT_ORDERS[name]
    path = saved(tmp_path / "order.npy", order)
    with pytest.raises(ConfigError) as refused:
        plan(f"trainer.order={path}")
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"trainer.order={path}: ")
    assert "\n" not in str(refused.value)


UNFIT_RATES: dict[str, tuple[Any, str]] = {
    "too few": (np.full(7, 0.001), "has the rates of 7 steps; 2 epochs have 8"),
    "others": (np.full(8, 0.002), "set optimizer.lr=0.002, not 0.001"),
    "negative": (np.array([0.001] * 7 + [-0.001]), "has the rate -0.001"),
    "infinite": (np.array([0.001] * 7 + [np.inf]), "value that is not finite"),
    "two columns": (np.full((8, 1), 0.001), "has shape (8, 1); it must be (S,)"),
    "whole numbers": (np.ones(8, int), "has int64"),
}


@pytest.mark.parametrize("name", UNFIT_RATES)
def test_unfit_rates_are_one_line(name: str, tmp_path: Path) -> None:
    given, message = UNFIT_RATES[name]
    path = saved(tmp_path / "rates.npy", given)
    with pytest.raises(ConfigError) as refused:
        plan(f"trainer.learning_rates={path}")
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"trainer.learning_rates={path}: ")


@pytest.mark.parametrize("key", ["order", "learning_rates"])
def test_a_file_that_is_lost_or_damaged_is_one_line(key: str, tmp_path: Path) -> None:
    path = tmp_path / "file.npy"
    with pytest.raises(ConfigError, match="No such file"):
        plan(f"trainer.{key}={path}")
    with pytest.raises(ConfigError, match="cannot be read"):
        plan(f"trainer.{key}={tmp_path}")
    saved(path, ORDER if key == "order" else np.full(8, 0.001))
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:40], b"", whole + b" ", b"PK" + whole):
        path.write_bytes(content)
        with pytest.raises(ConfigError) as refused:
            plan(f"trainer.{key}={path}")
        assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="schedule=cosine: must be constant"):
        plan(f"trainer.learning_rates={path}", "trainer.schedule=cosine")


def test_a_run_is_known_by_what_the_files_say_wherever_they_are(tmp_path: Path) -> None:
    order, given = np.arange(18).reshape(2, 3, 3) % 10, np.full(6, 0.001)
    names = [
        (saved(tmp_path / f"order{n}.npy", o), saved(tmp_path / f"rates{n}.npy", r))
        for n, (o, r) in enumerate(
            [(order, given), (order.astype("i4"), given), (order[::-1], given)]
        )
    ]
    changed = saved(tmp_path / "other.npy", np.append(given[:5], 0.0))
    names.append((names[0][0], changed))
    plans = [plan(f"trainer.order={o}", f"trainer.learning_rates={r}") for o, r in names]
    keys = [run_key(each) for each in plans]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert run_key(plan()) not in keys


def test_runs_of_other_batches_share_no_program(tmp_path: Path) -> None:
    words = f"trainer.order={saved(tmp_path / 'order.npy', ORDER)}"
    given = plan(words)
    assert sharing_key(given) == sharing_key(plan(words, "seed=3"))
    assert sharing_key(given) != sharing_key(plan())
