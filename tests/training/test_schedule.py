"""The learning rate of every step: decided by the rates with which a backend is called."""

import numpy as np
import pytest

from tests.support.scripted_training import N, Train, rates, settings


def test_a_constant_rate_stays_at_lr(train: Train) -> None:
    lr = rates(train(settings(replicas=2)))
    assert lr.tolist() == [[0.001, 0.001]] * 9


@pytest.mark.parametrize("last_batch", ["keep", "drop"])
@pytest.mark.parametrize("schedule", ["cosine", "exponential"])
def test_a_schedule_falls_from_lr_to_its_end_at_the_last_step(
    train: Train, schedule: str, last_batch: str
) -> None:
    run = settings(
        replicas=2, schedule=schedule, final_lr=0.1, semantics={"last_batch": last_batch}
    )
    lr = rates(train(run))
    assert len(lr) == (9 if last_batch == "keep" else 6)
    assert (lr[:, 0] == lr[:, 1]).all()
    assert lr[0, 0] == pytest.approx(0.001, rel=1e-14)
    assert lr[-1, 0] == pytest.approx(0.0001, rel=1e-14)
    assert (np.diff(lr[:, 0]) < 0).all()


def test_an_exponential_schedule_loses_the_same_share_each_step(train: Train) -> None:
    lr = rates(train(settings(schedule="exponential", final_lr=0.1)))[:, 0]
    assert lr[1:] / lr[:-1] == pytest.approx(np.full(8, 0.1 ** (1 / 8)), rel=1e-13)


def test_a_cosine_schedule_is_half_way_at_half_time_and_flat_at_its_ends(train: Train) -> None:
    lr = rates(train(settings(schedule="cosine", final_lr=0.0)))[:, 0]
    assert lr[4] == pytest.approx(0.0005, rel=1e-13)
    assert lr + lr[::-1] == pytest.approx(np.full(9, 0.001), rel=1e-13), "symmetric"
    assert lr[0] - lr[1] < 0.25 * (lr[3] - lr[4])
    assert lr[-1] == pytest.approx(0.0, abs=1e-18)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "exponential"])
def test_a_single_step_is_done_at_lr(train: Train, schedule: str) -> None:
    run = settings(epochs=1, batch_size=N, schedule=schedule)
    assert rates(train(run)).tolist() == [[0.001]]
