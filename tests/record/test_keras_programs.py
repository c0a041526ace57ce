"""`python -m harness.record` on Keras programs, and on notebooks."""

from pathlib import Path
from shutil import copy

import numpy as np
import pytest

from harness.recorder.recording import Recording, read_recording
from tests.record.own_means import PROGRAMS, assert_same, record, run, samples

pytestmark = pytest.mark.slow


def assert_epochs(recording: Recording, means: np.ndarray, rtol: float = 1e-6) -> None:
    """Assert that the epochs' mean losses, over samples, are those that Keras logged."""
    assert recording.losses is not None
    assert recording.batches is not None
    assert recording.epochs is not None
    sizes = (recording.batches >= 0).sum(1)
    for epoch, mean in enumerate(means):
        steps = recording.epochs == epoch
        found = np.average(recording.losses[steps], weights=sizes[steps])
        np.testing.assert_allclose(found, mean, rtol=rtol)


def test_a_functional_model_is_recorded_and_ends_as_without(tmp_path: Path) -> None:
    program = str(PROGRAMS / "keras_functional.py")
    done = record(tmp_path, program, "own.npz")
    assert done.code == 0, done.err
    assert "fit's input pipeline is given a last stage" in done.err
    assert "fit's input pipeline is given a last stage" in done.out
    assert run(tmp_path, program, "plain.npz").code == 0
    recording = read_recording(tmp_path / "recorded/keras_functional")
    with np.load(tmp_path / "own.npz") as own, np.load(tmp_path / "plain.npz") as plain:
        for name in own:
            assert np.array_equal(own[name], plain[name]), name
        assert_epochs(recording, own["epochs"], 1e-12)
        with pytest.raises(AssertionError):
            assert_epochs(recording, own["epochs"][::-1])
        paths = recording.stated["trainable"]
        initial = np.concatenate([recording.initial[path].ravel() for path in paths])
        assert np.array_equal(initial, own["first"])
        rows = [
            np.flatnonzero((own["x"] == row).all((1, 2))).item() for row in samples(recording, "x")
        ]
        assert sorted(rows[:24]) == sorted(rows[24:]) == list(range(24))  # not the validation's
        assert rows[:24] != list(range(24))
        assert np.array_equal(samples(recording, "y"), own["y"][rows])
    assert recording.stated["optimizer"]["clipnorm"] == 1.0


def test_a_model_that_fit_builds_is_recorded_as_its_metric_saw_it(tmp_path: Path) -> None:
    done = record(tmp_path, str(PROGRAMS / "keras_sequential.py"), "own.npz")
    assert done.code == 0, done.err
    recording = read_recording(tmp_path / "recorded/keras_sequential")
    with np.load(tmp_path / "own.npz") as own:
        assert recording.steps == 4
        order = samples(recording, "y").ravel()
        assert np.array_equal(order, own["targets"][:14])
        assert not np.array_equal(order, own["y"].ravel())
        assert recording.losses is not None
        np.testing.assert_allclose(recording.losses, own["losses"][:4], rtol=1e-5)


def test_a_notebook_of_pytorch_is_recorded_and_left_as_it_was(tmp_path: Path) -> None:
    notebook = Path(copy(PROGRAMS / "torch_notebook.ipynb", tmp_path))
    (tmp_path / "elsewhere").mkdir()
    done = record(tmp_path / "elsewhere", "../torch_notebook.ipynb")
    assert done.code == 0, done.err
    assert done.out.startswith("epoch 0\nepoch 1\nrecorded/torch_notebook: ")
    assert "torch_notebook.ipynb, cell 4 of 4" in done.err
    recording = read_recording(tmp_path / "elsewhere/recorded/torch_notebook")
    with np.load(tmp_path / "own.npz") as own:  # in the notebook's folder
        assert_same(recording, own["x"], own["y"], own["losses"])
    assert notebook.read_bytes() == (PROGRAMS / "torch_notebook.ipynb").read_bytes()


def test_a_notebook_whose_cell_fails_keeps_the_training_before_it(tmp_path: Path) -> None:
    copy(PROGRAMS / "keras_notebook.ipynb", tmp_path)
    done = record(tmp_path, "keras_notebook.ipynb")
    assert done.code == 1, done.err
    assert "kernel a-kernel-of-elsewhere is not installed here; python3 runs its cells" in done.err
    failed = [line for line in done.err.splitlines() if "failed" in line]
    assert failed == [
        "keras_notebook.ipynb: cell 5 of 5 failed (AttributeError: 'Sequential' object has no "
        "attribute 'no_such_method')."
    ]
    with np.load(tmp_path / "own.npz") as own:
        recording = read_recording(tmp_path / "recorded/keras_notebook")
        assert_epochs(recording, own["epochs"])
        rows = [
            np.flatnonzero((own["x"] == row).all((1, 2))).item() for row in samples(recording, "x")
        ]
        assert sorted(rows[:14]) == sorted(rows[14:]) == list(range(14))


def test_a_file_that_is_no_notebook_is_one_line(tmp_path: Path) -> None:
    for text, reason in (("{", "cannot be read as a notebook"), (JULIA, "is in julia")):
        (tmp_path / "a.ipynb").write_text(text)
        done = record(tmp_path, "a.ipynb")
        assert done.code == 2
        assert len(done.err.splitlines()) == 1
        assert reason in done.err


JULIA = """{"cells": [], "nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": {"name":
"julia", "language": "julia", "display_name": "Julia"}}}"""
