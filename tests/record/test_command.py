"""`python -m harness.record` on scripts, each in processes of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

from harness.record.__main__ import main
from harness.recorder.recording import read_recording
from tests.record.own_means import ENVIRONMENT, PROGRAMS, assert_same, record, run, samples

slow = pytest.mark.slow


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    return said.err


def test_mistakes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script, notebook = tmp_path / "a.py", tmp_path / "a.ipynb"
    script.touch()
    notebook.touch()
    assert "must be given" in refused([], capsys)
    assert "there is no such file" in refused([str(tmp_path / "b.py")], capsys)
    assert "name a script (.py)" in refused([str(tmp_path)], capsys)
    assert "--training=0" in refused(["--training", "0", str(script)], capsys)
    assert "--out" in refused(["--out", str(tmp_path), str(script)], capsys)
    assert "takes no arguments" in refused([str(notebook), "--epochs"], capsys)
    monkeypatch.setitem(sys.modules, "nbclient", None)  # as if it were not installed
    assert "pip install 'rnn-harness[notebook]'" in refused([str(notebook)], capsys)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ipynb", "a.py"]


@slow
def test_a_loop_of_pytorch_is_recorded_and_ends_as_without(tmp_path: Path) -> None:
    program = str(PROGRAMS / "torch_loop.py")
    done = record(tmp_path, program, "--epochs", "3", "--out", "own.npz")
    assert done.code == 0, done.err
    assert "epoch 2: validation" in done.out
    assert done.out.endswith("  harness repeat recorded/torch_loop\n")
    assert "hooks on all modules and optimizers look on" in done.err
    plain = run(tmp_path, program, "--epochs", "3", "--out", "plain.npz")
    assert plain.code == 0
    recording = read_recording(tmp_path / "recorded/torch_loop")
    with np.load(tmp_path / "own.npz") as own, np.load(tmp_path / "plain.npz") as without:
        for name in own:
            assert np.array_equal(own[name], without[name]), name
        assert_same(recording, own["x"], own["y"], own["losses"])
        assert recording.learning_rates is not None
        assert np.array_equal(recording.learning_rates[:, 0], own["rates"])
        assert all(np.array_equal(own[name], v) for name, v in recording.initial.items())
    assert recording.steps == 12
    assert (recording.stated["loss"], recording.stated["optimizer"]) == ("mse_loss", "Adam")
    assert any("as clipping" in note for note in recording.notes)


@slow
def test_the_training_that_is_asked_for_is_recorded(tmp_path: Path) -> None:
    program = str(PROGRAMS / "two_trainings.py")
    done = record(tmp_path, "--training", "2", "--out", "second", program)
    assert done.code == 0, done.err
    first, second = ([*map(float, line.split())] for line in done.out.splitlines()[:2])
    recording = read_recording(tmp_path / "second")
    assert recording.losses is not None
    assert recording.losses.tolist() == second[1:] != first[1:]
    assert recording.learning_rates is not None
    assert recording.learning_rates.tolist() == [[0.2]] * 3
    assert samples(recording, "y").ravel().tolist() == [0, 2, 4, 6, 8, 10]
    done = record(tmp_path, "--training", "3", program)
    assert done.code == 2
    line = done.err.splitlines()[-1]
    assert line.startswith(f"--training 3: {program} has 2 trainings: PyTorch, SGD over Sequential")
    assert not (tmp_path / "recorded").exists()


def test_a_program_that_fails_before_it_trains_says_so_once(tmp_path: Path) -> None:
    program = str(PROGRAMS / "fails.py")
    done = record(tmp_path, program, "--training", "a b")
    assert done.code == 2
    imported, seen = done.out.splitlines()
    assert imported == ""  # nothing that the program has not imported
    assert seen == f"__main__ ['--training', 'a b'] True {program}"
    trace = done.err.splitlines()
    assert trace[:2] == [
        "Traceback (most recent call last):",
        f'  File "{program}", line 7, in <module>',
    ]
    assert trace[-2] == "RuntimeError: no data"
    assert trace[-1] == f"{program}: ended with exit code 1 before it trained."
    assert list(tmp_path.iterdir()) == []


@slow
def test_a_training_that_fails_in_its_first_step_leaves_its_folder_for_another_try(
    tmp_path: Path,
) -> None:
    program = str(PROGRAMS / "fails_in_first_step.py")
    for _ in range(2):
        done = record(tmp_path, program)
        assert done.code == 2
        wanted = "ended with exit code 1 before a recording of its training was written."
        assert done.err.splitlines()[-1] == f"{program}: {wanted}"
        assert [path.name for path in (tmp_path / "recorded").iterdir()] == ["fails_in_first_step"]
        assert not any((tmp_path / "recorded/fails_in_first_step").iterdir())


def test_a_program_without_a_training_is_told_what_is_seen(tmp_path: Path) -> None:
    (tmp_path / "nothing.py").write_text("import sys\nsys.exit(0)\n")
    done = record(tmp_path, "nothing.py")
    assert done.code == 2
    assert done.err == (
        "nothing.py: trained nothing that was seen. It imported neither Keras nor PyTorch nor JAX "
        "in its own process.\n"
    )


@slow
def test_a_program_of_jax_is_recorded_by_its_own_line(tmp_path: Path) -> None:
    program = str(PROGRAMS / "jax_schedule.py")
    done = record(tmp_path, program, "own.npz", "mine")
    assert done.code == 0, done.err
    recording = read_recording(tmp_path / "mine")
    with np.load(tmp_path / "own.npz") as own:
        assert_same(recording, own["x"], own["y"], own["losses"])
    assert f"harness identify {tmp_path / 'mine'}" in done.out
    assert not (tmp_path / "recorded").exists()
    done = record(tmp_path, program, "own2.npz")
    assert done.code == 2
    assert "wrap the step in recorder.jax(…), one line" in done.err.splitlines()[-1]


@slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["endless.py", "endless.ipynb"])
def test_a_stopped_program_leaves_the_steps_done(tmp_path: Path, name: str, number: int) -> None:
    source = (PROGRAMS / "endless.py").read_text()
    (tmp_path / "endless.py").write_text(source)
    cell = nbformat.v4.new_code_cell(source)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "endless.ipynb")
    process = subprocess.Popen(
        [sys.executable, "-m", "harness.record", name],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "has begun\n"
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number, err
    assert "recorded is what came before" in out
    assert err.endswith(f"Stopped by {signal.Signals(number).name}\n")
    recording = read_recording(tmp_path / "recorded/endless")
    assert recording.steps >= 5
    assert recording.batches is not None
    assert recording.batches[:2].tolist() == [[0] * 3, [1] * 3]
