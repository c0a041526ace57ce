"""Forms of PyTorch's loop: each recording is what its program noted, or says what it lacks."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from harness.recorder.recording import Recording, read_recording
from tests.record.own_means import PROGRAMS, assert_same, run, samples

pytestmark = pytest.mark.slow
PROGRAM = PROGRAMS / "torch_forms.py"
EXACT = [
    *("keywords", "evaluation_between", "changes_its_input", "side_by_side", "no_single_model"),
    *("time_major", "penalty", "scaler", "two_optimizers", "unused_optimizer", "exits"),
    "interrupted",
]
NOTED = {
    "no_single_model": "RNN and Linear one after another: recorded as one model",
    "time_major": "may be (T, N, F) or (N, T, F)",
    "penalty": "backward was called on more than the loss",
    "weighted": "the loss was given pos_weight",
    "accumulation": "several backward passes before a step",
    "scaler": "the loss was multiplied before its backward pass",
    "two_optimizers": "several optimizers",
    "step_by_step": "several calls of the model: its samples are not known",
    "keywords": "the optimizer's settings changed",
}
REFUSED = {
    "lbfgs": "its step is given a closure",
    "own_loss": "do not come from a loss of torch.nn",
}
CODES = {"exits": 3, "interrupted": 130, "lbfgs": 2, "own_loss": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forms")
    forms = [*dict.fromkeys([*EXACT, *NOTED, *REFUSED, "in_a_process_of_its_own"])]
    done = run(folder, "-m", "tests.record.forms", str(folder), str(PROGRAM), *forms)
    assert done.code == 0, done.err
    return folder


def read(folder: Path, form: str) -> Recording:
    assert int((folder / form / "code").read_text()) == CODES.get(form, 0)
    return read_recording(folder / form / "recorded")


def told(folder: Path, form: str) -> list[dict[str, str]]:
    lines = (folder / form / "events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_every_form_of_the_program_is_tried() -> None:
    text = PROGRAM.read_text()
    shared = {"batches", "note", "loop", "mse", "sgd"}
    forms = set(re.findall(r"^def (\w+)", text, re.M)) - shared
    assert forms == {*EXACT, *NOTED, *REFUSED, "in_a_process_of_its_own"}


@pytest.mark.parametrize("form", EXACT)
def test_a_recording_is_what_the_program_noted(folder: Path, form: str) -> None:
    recording = read(folder, form)
    with np.load(folder / form / "own.npz") as own:
        steps = 3 if form in ("exits", "interrupted") else len(own["losses"])
        rows = 10 if steps == 3 else len(own["x"])
        noted = own["x"][:rows], own["y"][:rows], own["losses"][:steps]
    assert_same(recording, *noted)
    with pytest.raises(AssertionError):
        assert_same(recording, noted[0][::-1], *noted[1:])
    with pytest.raises(AssertionError):
        assert_same(recording, *noted[:2], np.nextafter(noted[2], np.inf))


@pytest.mark.parametrize("form", NOTED)
def test_what_a_recording_lacks_is_noted(folder: Path, form: str) -> None:
    assert any(NOTED[form] in note for note in read(folder, form).notes)
    silent = read(folder, "unused_optimizer").notes
    assert not any(NOTED[form] in note for note in silent)
    assert len(silent) == 1
    assert "hooks on all modules and optimizers look on" in silent[0]


def test_accumulated_batches_are_one(folder: Path) -> None:
    recording = read(folder, "accumulation")
    with np.load(folder / "accumulation/own.npz") as own:
        assert np.array_equal(samples(recording, "x"), own["x"])
        assert np.array_equal(samples(recording, "y"), own["y"])
    assert recording.batches is not None
    assert [int((row >= 0).sum()) for row in recording.batches] == [8, 6, 6]


def test_samples_that_are_not_known_are_left_out(folder: Path) -> None:
    assert read(folder, "step_by_step").batches is None


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_recorded_stops_the_program_and_says_why(folder: Path, form: str) -> None:
    reasons = [line["refused"] for line in told(folder, form) if "refused" in line]
    assert len(reasons) == 1
    assert REFUSED[form] in reasons[0]
    assert "Traceback" not in (folder / form / "err").read_text()
    assert int((folder / form / "code").read_text()) == 2


def test_trainings_are_optimizers_that_step(folder: Path) -> None:
    counts = {"side_by_side": 2, "two_optimizers": 2, "unused_optimizer": 1, "keywords": 1}
    for form, count in counts.items():
        assert sum("training" in line for line in told(folder, form)) == count


def test_a_training_in_another_process_is_not_seen(folder: Path) -> None:
    assert not any("training" in line for line in told(folder, "in_a_process_of_its_own"))
