"""The band of each epoch excuses rounding, and rounding alone."""

from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from backends import BackendFactory
from backends.numpy_backend import NumpyBackend
from harness.config.compose import compose
from harness.reproduce.epoch_bands import Bands
from harness.reproduce.judgement import Judgement, judge
from harness.reproduce.recorded_run import RecordedRun
from harness.reproduce.repetition import Beginning, Enough, EpochRecorder, Repetition
from harness.training.plan import prepare
from harness.training.trainer import train
from tests.support.rounded_backend import rounded

EPOCHS = 12
WORDS = ("task.samples=40", "task.length=5", "model=lstm", "model.units=4", "optimizer.lr=0.03")
WORDS += ("trainer.batch_size=4", f"trainer.epochs={EPOCHS}", "tracking=journal")


def beginning(*words: str) -> Beginning:
    return Beginning(plan=prepare(compose([*WORDS, *words])))


def epochs_of(start: Beginning, factory: BackendFactory, folder: Path) -> EpochRecorder:
    recorder, plan = EpochRecorder(folder, EPOCHS, set()), start.plan
    with suppress(Enough):
        build = partial(plan.build, factory)
        train(build, plan.start, plan.splits, plan.schedule, plan.config, recorder)
    return recorder


def judged(start: Beginning, run: EpochRecorder, again: EpochRecorder, folder: Path) -> Judgement:
    recorded = RecordedRun(
        folder=folder,
        epochs=run.epochs,
        final={},
        data_digest=None,
        tags={},
        finished=False,
    )
    repetition = Repetition(
        epochs=again.epochs, states=again.states, tags=again.tags, final={}, weights=None
    )
    return judge(start, recorded, repetition, whole=True)


def test_the_same_program_is_bit_equal(tmp_path: Path) -> None:
    start = beginning()
    runs = [epochs_of(start, NumpyBackend, tmp_path / name) for name in ("a", "b")]
    assert judged(start, runs[0], runs[1], tmp_path).kind == "bit-equal"


def test_other_roundings_are_within_the_band(tmp_path: Path) -> None:
    start = beginning("optimizer=sgd", "optimizer.lr=0.5")  # at which rounding grows
    run = epochs_of(start, NumpyBackend, tmp_path / "a")
    again = epochs_of(start, rounded(0), tmp_path / "b")
    judgement = judged(start, run, again, tmp_path)
    largest = judgement.largest("losses")
    assert judgement.kind == "within the band"
    assert largest is not None
    assert largest.difference.error > 1e-5, "or the table's limit alone would do"


@pytest.mark.parametrize(
    ("words", "epoch"), [("optimizer.lr=0.0301", 1), ("optimizer.beta2=0.9", 1)]
)
def test_another_setting_is_beyond_it(words: str, epoch: int, tmp_path: Path) -> None:
    start = beginning()
    run = epochs_of(beginning(words), NumpyBackend, tmp_path / "a")
    judgement = judged(start, run, epochs_of(start, NumpyBackend, tmp_path / "b"), tmp_path)
    assert (judgement.kind, judgement.from_epoch) == ("differs", epoch)
    assert judgement.beyond is not None
    assert judgement.beyond.difference.tensor in ("train/loss", "val/loss")


def test_one_state_that_differs_at_the_end_is_told(tmp_path: Path) -> None:
    start = beginning()
    runs = [epochs_of(start, NumpyBackend, tmp_path / name) for name in ("a", "b")]
    runs[1].epochs[EPOCHS].values["val/loss"] = runs[0].epochs[EPOCHS].values["val/loss"] * 2
    judgement = judged(start, runs[0], runs[1], tmp_path)
    assert (judgement.kind, judgement.from_epoch, judgement.unequal) == ("differs", EPOCHS, EPOCHS)


def test_the_band_never_narrows_and_validation_has_its_own() -> None:
    bands = Bands(beginning(), EPOCHS)
    found = [bands.at(epoch).losses for epoch in range(1, EPOCHS + 1)]
    for name in ("train/loss", "val/loss"):
        curve = np.concatenate([losses[name] for losses in found])
        assert curve.shape == (EPOCHS, 1)
        assert (curve[0] > 0).all()
        assert (np.diff(curve, axis=0) >= 0).all()
    assert not np.array_equal(found[0]["train/loss"], found[0]["val/loss"])
