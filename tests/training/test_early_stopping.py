"""Early stopping: when training ends for each replica, and whose weights are kept."""

import numpy as np
import pytest

from tests.support.scripted_training import BEST, STOPPED, VAL, N, Train, patient, rates, settings


@pytest.mark.parametrize("r", range(3))
def test_early_stopping_waits_as_long_as_its_patience(train: Train, r: int) -> None:
    done = train(patient(), val_losses=VAL[:, r])
    assert done.outcome.stopped_early
    assert done.outcome.epochs == STOPPED[r] == len(done.metric("val/loss"))
    assert done.outcome.best_epoch is not None
    assert done.outcome.best_epoch.tolist() == [BEST[r]]


@pytest.mark.parametrize("r", range(3))
def test_the_best_weights_are_restored(train: Train, r: int) -> None:
    done = train(patient(), val_losses=VAL[:, r])
    first, restored = done.built
    assert done.outcome.backend is restored
    assert first.state().params["w"] == pytest.approx(0.001 * STOPPED[r])
    assert restored.start.params["w"] == pytest.approx(0.001 * BEST[r])
    assert restored.start.slots["m"]["w"] == BEST[r]


def test_a_replica_stops_exactly_as_it_would_alone(train: Train) -> None:
    together = train(patient(replicas=3, seed=7), val_losses=VAL)
    assert together.outcome.epochs == max(STOPPED)
    best = together.outcome.backend.state()
    for r in range(3):
        alone = train(patient(seed=7 + r), val_losses=VAL[:, r])
        state = alone.outcome.backend.state()
        assert best.params["w"][r] == state.params["w"][0]
        assert best.slots["m"]["w"][r] == state.slots["m"]["w"][0]
        assert together.outcome.best_epoch is not None
        assert alone.outcome.best_epoch is not None
        assert together.outcome.best_epoch[r] == alone.outcome.best_epoch[0]
        shared = together.metric("val/loss")[: STOPPED[r]]
        assert [values[r] for values in shared] == [v[0] for v in alone.metric("val/loss")]


def test_a_replica_that_has_stopped_learns_at_a_rate_of_0(train: Train) -> None:
    lr = rates(train(patient(replicas=3), val_losses=VAL))
    assert lr.T.tolist() == [
        [0.001] * STOPPED[r] + [0.0] * (max(STOPPED) - STOPPED[r]) for r in range(3)
    ]


def test_the_values_kept_are_those_of_the_epoch_that_is_kept(train: Train) -> None:
    losses = np.arange(18.0).reshape(6, 3)
    done = train(patient(replicas=3), losses, VAL)
    kept = [losses[BEST[r] - 1, r] for r in range(3)]
    assert done.outcome.values["train/loss"].tolist() == kept


def test_training_that_never_stops_early_ends_with_its_best_weights_too(train: Train) -> None:
    done = train(patient(patience=99), val_losses=[[3.0], [1.0], [2.0], [2.0], [2.0], [2.0]])
    assert not done.outcome.stopped_early
    assert done.outcome.epochs == 6
    assert done.outcome.backend.state().params["w"] == pytest.approx(0.001 * 2)


def test_without_patience_the_last_weights_are_kept(train: Train) -> None:
    done = train(settings(batch_size=N), val_losses=[[1.0], [2.0], [3.0]])
    assert len(done.built) == 1
    assert done.outcome.best_epoch is None
    assert done.outcome.backend.state().params["w"] == pytest.approx(0.001 * 3)


@pytest.mark.parametrize(("min_delta", "epochs"), [(0.0, 6), (0.5, 3), (0.05, 6)])
def test_a_fall_counts_only_if_it_is_large_enough(
    train: Train, min_delta: float, epochs: int
) -> None:
    falling = [[1.0], [0.9], [0.8], [0.7], [0.6], [0.5]]
    done = train(patient(min_delta=min_delta), val_losses=falling)
    assert done.outcome.epochs == epochs


def test_an_equal_loss_is_no_better(train: Train) -> None:
    done = train(patient(), val_losses=np.ones((6, 1)))
    assert done.outcome.epochs == 3
    assert done.outcome.best_epoch is not None
    assert done.outcome.best_epoch.tolist() == [1]


def test_the_state_that_training_starts_from_is_left_as_it_is(train: Train) -> None:
    done = train(patient(), val_losses=VAL[:, 2])
    assert done.first.start.params["w"].tolist() == [[0.0]]
    assert done.first.start.step == 0
