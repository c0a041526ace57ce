"""The recorder of Keras on each of its backends: one program trains all cases."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.core.arrays import Array
from harness.recorder.recording import Recording, read_recording
from tests.recorder import by_hand

PROGRAM = Path(__file__).parent / "programs/keras_program.py"
pytestmark = pytest.mark.slow

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(14, 3, 2)), rng.normal(size=(14, 1))


# Keras 3.15 rounds a mean in float64 to float32 on two of its backends, so also the loss.
LIMITS = {"tensorflow": 1e-12, "torch": 1e-6, "jax": 1e-6}


@dataclass(frozen=True)
class Done:
    backend: str
    folder: Path
    weights: dict[str, Array]  # by case, without and with the recorder
    stdout: str
    stderr: str

    def read(self, case: str) -> Recording:
        return read_recording(self.folder / case)


@pytest.fixture(scope="module", params=["tensorflow", "torch", "jax"])
def done(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp(request.param)
    settings = os.environ | {"KERAS_BACKEND": request.param, "JAX_ENABLE_X64": "1"}
    ran = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder)],
        env=settings,
        capture_output=True,
        encoding="utf-8",
    )
    assert ran.returncode == 0, ran.stderr
    with np.load(folder / "weights.npz") as file:
        return Done(request.param, folder, dict(file), ran.stdout, ran.stderr)


@pytest.mark.parametrize("case", ["recurrent", "simple", "dropout", "linear", "unbuilt"])
def test_training_is_bit_equal_with_and_without_the_recorder(done: Done, case: str) -> None:
    without, with_recorder = done.weights[case]
    assert np.array_equal(without, with_recorder)


def hand_losses(recording: Recording) -> Array:
    kernel, bias = (recording.initial[path] for path in recording.stated["trainable"])
    return by_hand.losses(recording, kernel, bias, 0.05)


def test_losses_and_order_are_those_of_a_training_by_hand(done: Done) -> None:
    recording = done.read("linear")
    assert recording.losses is not None
    assert recording.batches is not None
    assert recording.steps == 12
    by_hand.agree(recording, hand_losses(recording), LIMITS[done.backend])
    wrong = replace(recording, batches=np.roll(recording.batches, 1, axis=0))
    by_hand.disagree(recording, hand_losses(wrong))


def test_losses_in_float32_are_within_their_bounds(done: Done) -> None:
    recording = done.read("split")
    assert recording.losses is not None
    assert recording.loss_errors is not None
    off = np.abs(recording.losses - hand_losses(recording))
    assert (off <= recording.loss_errors + 1e-6 * recording.losses).all()  # and float32's own
    assert (recording.loss_errors < 1e-5 * recording.losses.max()).all()


def test_each_epoch_takes_each_sample_once_in_the_order_of_its_shuffle(done: Done) -> None:
    recording = done.read("linear")
    assert recording.batches is not None
    epochs = [[n for n in part.ravel() if n >= 0] for part in np.split(recording.batches, 3)]
    assert all(sorted(epoch) == list(range(14)) for epoch in epochs)
    # TensorFlow's seeded shuffle begins anew with each epoch, so that all have one order.
    assert (epochs[0] == epochs[1]) == (done.backend == "tensorflow")
    order = [np.flatnonzero((row == X).all((1, 2))).item() for row in recording.data["x"]]
    assert sorted(order) == list(range(14))
    assert np.array_equal(recording.data["y"], Y[order])


def test_a_validation_split_is_said_and_its_samples_were_not_trained_on(done: Done) -> None:
    recording = done.read("split")
    assert recording.batches is not None
    assert recording.batches[:3].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, -1, -1, -1]]
    assert np.array_equal(recording.data["x"], X[:9].astype(np.float32))
    fit = recording.stated["fit"]
    assert (fit["shuffle"], fit["validation_split"], fit["batch_size"]) == (False, 0.3, 4)
    assert "val_loss" in recording.epoch_logs[0]


def test_rates_and_rules_are_recorded(done: Done) -> None:
    recording = done.read("recurrent")
    assert recording.learning_rates is not None
    assert recording.epochs is not None
    np.testing.assert_allclose(recording.learning_rates[:, 0], 0.02 * 0.5 ** np.arange(12), 1e-5)
    assert recording.epochs.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert recording.stated["optimizer_class"] == "Adam"
    assert recording.stated["compile"]["loss"] == "mse"
    layers = [layer["class_name"] for layer in recording.stated["model"]["layers"]]
    assert layers == ["InputLayer", "LSTM", "Dense"]
    shapes = [recording.initial[path].shape for path in recording.stated["trainable"]]
    assert shapes == [(2, 20), (5, 20), (20,), (5, 1), (1,)]
    assert "keras" in recording.versions


def test_an_interrupted_fit_leaves_the_steps_done(done: Done) -> None:
    assert "interrupted" in done.stdout
    recording = done.read("interrupted")
    # The recorder comes before the callback that interrupts.
    assert recording.steps == 2
    by_hand.agree(recording, hand_losses(recording), LIMITS[done.backend])


def test_what_is_replaced_and_what_is_random_is_said_aloud(done: Done) -> None:
    assert any("looks at each batch and passes" in note for note in done.read("linear").notes)
    assert not any("random" in note for note in done.read("recurrent").notes)
    assert any("draws random numbers" in note for note in done.read("dropout").notes)
    assert "recorder: training draws random numbers" in done.stderr


def test_a_model_that_fit_builds_is_recorded_as_it_was_built(done: Done) -> None:
    # JAX and PyTorch build it before the first step, TensorFlow in it.
    recording = done.read("unbuilt")
    shapes = sorted(values.shape for values in recording.initial.values())
    assert shapes == [(1,), (2, 9), (2, 9), (3, 1), (3, 9)]
    assert recording.steps == 8


def test_a_model_without_weights_is_refused_and_leaves_the_folder_empty(done: Done) -> None:
    assert "no_weights: the model has no weights" in done.stdout
    assert not any((done.folder / "no_weights").iterdir())
