"""`python -m harness.reproduce` on real runs: equal, within the band, and every way to differ."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from harness.reproduce.__main__ import main
from tests.reproduce.changed_runs import copy_of, files, with_events, with_setting
from tests.reproduce.conftest import SMALL
from tests.support.recorded_files import record_again
from tests.support.resumed_runs import run

Capture = pytest.CaptureFixture[str]


def said(capsys: Capture, *words: object) -> tuple[int, str]:
    """The exit code, and all that was printed with its spaces and lines joined."""
    code = main([str(word) for word in words])
    return code, re.sub(r"\s+", " ", capsys.readouterr().out)


def test_a_run_is_equal_bit_for_bit_and_stays_as_it_was(recorded: Path, capsys: Capture) -> None:
    before = files(recorded)
    code, out = said(capsys, recorded)
    assert code == 0
    assert out.startswith(
        "Bit-equal: weights, optimiser memory and metrics of epochs 1 to 5, and the final weights."
    )
    assert "digests 1…5 equal" in out
    assert "unchanged: backend, device, kernel, threads, processor" in out
    assert f"python -m harness.reproduce {recorded} --with backend=torch" in out
    assert files(recorded) == before


@pytest.mark.parametrize("backend", ["torch", "keras", "jax"])
def test_another_backend_is_within_the_band(backend: str, recorded: Path, capsys: Capture) -> None:
    code, out = said(capsys, recorded, "--with", f"backend={backend}", "threads=1")
    assert code == 0
    assert out.startswith("Within the band over epochs 1 to 5: the largest gap is ")
    assert "the limit 1e-09" in out
    assert re.search(rf"changed recorded here .*backend numpy {backend} ", out)


def test_replicas_early_stopping_and_momentum(tmp_path: Path, capsys: Capture) -> None:
    words = [*SMALL, "replicas=3", "trainer.patience=2", "trainer.epochs=30", "optimizer=sgd"]
    run(tmp_path / "run", *words, "optimizer.momentum=0.9", "optimizer.lr=0.02")
    code, out = said(capsys, tmp_path / "run")
    assert code == 0
    assert out.startswith("Bit-equal")
    assert "and the final weights" in out


def test_other_initial_weights_differ_from_the_first_epoch(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    copy = copy_of(recorded, tmp_path)
    path = copy / "weights/initial.safetensors"
    save_file({n: v + 0.01 for n, v in load_file(path).items()}, path)
    record_again(copy, "weights/initial.safetensors")
    code, out = said(capsys, copy)
    assert code == 1
    assert out.startswith("Differs from epoch 1: ")
    assert "which no run records" in out
    assert "its initial weights are not those that its seeds" in out
    assert re.search(r"those after epoch 2 are the first to differ, most of all [\w.]+\.", out)


def test_another_learning_rate_differs_and_no_backend_is_blamed(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    copy = with_setting(recorded, tmp_path, "lr", 0.02)
    code, out = said(capsys, copy, "--with", "backend=torch")
    assert code == 1
    assert out.startswith("Differs from epoch 1: there the gap is ")
    assert "numpy as recorded and the repetition agree over the 3 steps of these epochs" in out
    assert f"next python -m harness.reproduce {copy}" in out


WRONG = """\
name: wrong
packages: {}
devices: [cpu]
factory:
  _target_: tests.support.wrong_backends.SwappedGates
  _partial_: true
"""


def test_a_wrong_backend_of_ones_own_is_told_to_step_and_tensor(
    tmp_path: Path, capsys: Capture
) -> None:
    run(tmp_path / "run", *SMALL, "model=lstm", "model.layers=2", "trainer.epochs=2")
    own = tmp_path / "own"
    (own / "backend").mkdir(parents=True)
    (own / "backend/wrong.yaml").write_text(WRONG)
    words = [tmp_path / "run", "--with", "backend=wrong", "--config-dir", own]
    code, out = said(capsys, *words)
    assert code == 1
    assert out.startswith("Differs from epoch 1: ")
    assert "both part first at step 1, hidden states: rnn.1." in out


def test_digests_that_were_altered_tell_the_epoch(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    def alter(event: dict[str, Any]) -> None:
        if event["kind"] == "metrics" and event["step"] >= 3:
            event["state"] = "0" * 16

    code, out = said(capsys, with_events(recorded, tmp_path, alter))
    assert code == 1
    assert out.startswith("Differs from epoch 3: its digest or a metric differs, and no loss ")
    assert "at one of the steps 7 to 9" in out
    assert "digests 1…5 differ 3 of 5, first epoch 3" in out
    assert "checkpoint of epoch 4 is not the state that its journal has the digest of" in out


def test_losses_that_were_altered_tell_epoch_and_gap(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    def alter(event: dict[str, Any]) -> None:
        if event["kind"] == "metrics" and event["step"] == 4:
            event["values"]["val/loss"][0] *= 1.001

    code, out = said(capsys, with_events(recorded, tmp_path, alter))
    assert code == 1
    assert out.startswith(
        "Differs from epoch 4: there the gap is 1.0e-03 of val/loss after epoch 4"
    )


def test_rounding_in_the_last_digit_is_within_the_band(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    def alter(event: dict[str, Any]) -> None:
        if event["kind"] == "metrics" and event["step"] == 4:
            event["values"]["val/loss"][0] *= 1 + 1e-14

    code, out = said(capsys, with_events(recorded, tmp_path, alter))
    assert code == 0
    assert out.startswith("Within the band over epochs 1 to 5: the largest gap is ")
    assert "e-15 of val/loss after epoch 4" in out or "e-14 of val/loss after epoch 4" in out


def test_other_data_are_the_answer(recorded: Path, tmp_path: Path, capsys: Capture) -> None:
    code, out = said(capsys, with_setting(recorded, tmp_path, "val_fraction", 0.3))
    assert code == 1
    assert out.startswith("Differs before the first epoch: the data that the task gives here are ")
    assert "Nothing was trained" in out


def test_other_versions_are_shown_with_the_command_that_restores_them(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    def alter(event: dict[str, Any]) -> None:
        if event["kind"] == "start":
            event["tags"] |= {"version.numpy": "1.26.4", "processor": "another"}
            event["tags"]["mlflow.source.git.commit"] = "a" * 40
        if event["kind"] == "metrics" and event["step"] == 5:
            event["values"]["train/loss"] = [9.0]

    code, out = said(capsys, with_events(recorded, tmp_path, alter))
    assert code == 1
    assert f"numpy 1.26.4 {np.__version__}" in out
    assert "processor another" in out
    assert "next python -m pip install numpy==1.26.4" in out
    assert f"git checkout {'a' * 40}" in out


def test_a_run_without_digests_is_compared_by_its_numbers(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    code, out = said(capsys, with_events(recorded, tmp_path, lambda e: e.pop("state", None)))
    assert code == 0
    assert out.startswith("Bit-equal: metrics of epochs 1 to 5, and the final weights.")
    assert "its journal has no digests (it was recorded by an earlier version)" in out


def test_the_first_epochs_of_a_run(recorded: Path, capsys: Capture) -> None:
    code, out = said(capsys, recorded, "--epochs", 2)
    assert code == 0
    assert out.startswith("Bit-equal: weights, optimiser memory and metrics of epochs 1 to 2.")
    assert "the end was not repeated" in out


def test_a_run_that_was_cut_short_is_repeated_as_far_as_it_came(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    copy = copy_of(recorded, tmp_path)
    journal = copy / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    cut = next(i for i, line in enumerate(lines) if '"step": 4' in line)
    journal.write_text("".join(lines[:cut]))
    (copy / "weights/final.safetensors").unlink()
    code, out = said(capsys, copy)
    assert code == 0
    assert out.startswith(
        "Bit-equal: weights, optimiser memory and metrics of epochs 1 to 3, where"
    )
    assert "it did not reach its end" in out


def test_a_run_that_ended_early_is_told_from_one_that_trained_on(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    code, out = said(capsys, with_setting(recorded, tmp_path, "epochs", 7))
    assert code == 1
    assert out.startswith("Differs from epoch 6: the run ended after epoch 5, the other trained on")


def test_a_resumed_run_begins_with_its_checkpoint(
    recorded: Path, tmp_path: Path, capsys: Capture
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    shutil.copytree(recorded, runs / "first")
    words = [f"resume={runs / 'first'}", "checkpoint=epoch-00004", "trainer.epochs=7"]
    run(runs / "second", *words)
    code, out = said(capsys, runs / "second")
    assert code == 0
    assert out.startswith("Bit-equal: weights, optimiser memory and metrics of epochs 5 to 7")
    moved = Path(shutil.move(runs, tmp_path / "moved"))
    assert said(capsys, moved / "second")[0] == 0
    (moved / "first/checkpoints/epoch-00004.safetensors").unlink()
    assert main([str(moved / "second")]) == 2
    assert (
        "epoch-00004.safetensors, which is gone; it cannot be repeated." in capsys.readouterr().err
    )
    shutil.rmtree(moved / "first")
    assert main([str(moved / "second")]) == 2
    assert "first, which is gone; it cannot be repeated." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--with", "trainer.epochs=9"], "--with trainer.epochs=9: only backend, backend.kernel, "),
        (["--with", "precision=float32"], "harness why RUN RUN b.precision=float32"),
        (["--with", "backend=torhc"], "Did you mean 'torch'?"),
        (["--with", "backend=numpy,torch"], "backend=numpy,torch"),
        (["--with", "threads"], "--with threads: only backend"),
        (["--with", "threads=0"], "threads=0: must be"),
        (["--epochs", "0"], "--epochs=0: must be"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, recorded: Path, capsys: Capture
) -> None:
    assert main([str(recorded), *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err.replace(str(recorded), "RUN")


def test_what_is_no_run_is_refused(recorded: Path, tmp_path: Path, capsys: Capture) -> None:
    sweep = tmp_path / "results/multirun/20261126-010101-000001"
    job = sweep / "0"
    shutil.copytree(recorded, job)
    event = '{"kind": "job", "time": 0, "number": 0, "folder": "0"}\n'
    (sweep / "journal.jsonl").write_text(event)
    untrained = with_events(
        recorded, tmp_path, lambda e: e.update(kind="x") if e["kind"] == "metrics" else None
    )
    edited = Path(shutil.copytree(recorded, tmp_path / "edited"))
    with (edited / "config.yaml").open("a") as file:
        file.write("# a remark\n")
    damaged = Path(shutil.copytree(recorded, tmp_path / "damaged"))
    (damaged / "weights/initial.safetensors").write_bytes(b"damaged")
    for word, message in (
        (str(tmp_path), "holds no run: no config.yaml"),
        (sweep.name, f"{sweep.name}: is a sweep; name one of its jobs: {sweep.name}/0."),
        (str(tmp_path / "none"), "there is no such directory"),
        (str(untrained), "it trained no epoch, so there is nothing to compare with."),
        (str(edited), "config.yaml: is damaged"),
        (str(damaged), "initial.safetensors: is damaged"),
    ):
        assert main([word, "--results", str(tmp_path / "results")]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert message in err
    assert said(capsys, f"{sweep.name}/0", "--results", tmp_path / "results")[0] == 0
