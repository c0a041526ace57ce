"""The command that a run prints for going on, pasted back into the real program.

Decides on runs that were stopped, that failed, and that finished.
"""

import shlex
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.core.tolerances import LIMITS
from harness.runs import summary
from harness.runs.resume import command
from harness.training.checkpoints import load_checkpoint
from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.resumed_runs import LONG, apart, curve, run

pytestmark = uses_mlflow


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_was_stopped_goes_on_as_it_says(
    tmp_path: Path, number: signal.Signals
) -> None:
    with program.running(tmp_path, *LONG, "trainer.epochs=100000") as process:
        program.wait_until(program.trains(tmp_path, 3), process)
        process.send_signal(number)
        done = program.finish(process)
    assert done.code == 128 + number
    stopped = program.directory(tmp_path)
    again = done.err.rstrip("\n").rpartition("go on with: ")[2]
    assert again == command(stopped, "results")
    [path] = stopped.glob("checkpoints/*")
    epochs = load_checkpoint(path).epoch
    assert epochs in (len(curve(stopped)), len(curve(stopped)) - 1)
    assert epochs >= 2
    arguments = shlex.split(again)[3:]
    goes_on = program.run(tmp_path, *arguments, f"trainer.epochs={epochs + 3}")
    assert goes_on.code == 0, goes_on.err
    assert f"goes on from epoch-{epochs:05d}" in goes_on.err
    resumed = program.directories(tmp_path)[-1]
    run(tmp_path / "whole", *LONG, f"trainer.epochs={epochs + 3}")
    assert curve(resumed).tolist() == curve(tmp_path / "whole").tolist()


def test_a_run_that_failed_can_be_mended(tmp_path: Path) -> None:
    growing = ("optimizer=sgd", "optimizer.weight_decay=1e9", "trainer.epochs=50")
    # Each of the two steps of an epoch multiplies weights by 1e7: the loss is far from float32's
    # largest number at the end of the first epoch and beyond it in the second.
    failed = program.run(tmp_path, *growing, "task.samples=60", "tracking=journal")
    assert failed.code == 1
    again = failed.err.rstrip("\n").rpartition("go on with: ")[2]
    arguments = (*shlex.split(again)[3:], "optimizer.weight_decay=0", "optimizer.lr=1e-9")
    mended = program.run(tmp_path, *arguments)
    assert mended.code == 0, mended.err
    before, after = program.directories(tmp_path)
    epochs = len(curve(before)) - 1
    assert epochs > 0
    assert curve(after)[:epochs].tolist() == curve(before)[:epochs].tolist()
    assert len(curve(after)) == 50


def test_a_resume_that_is_refused_leaves_nothing_behind(tmp_path: Path) -> None:
    done = program.run(tmp_path, "resume=none", "trainer.epochs=3")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("resume=none: there is no such directory")
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_goes_on_in_several_backends(uninterrupted: Any, tmp_path: Path) -> None:
    whole = uninterrupted("adam", "numpy")
    resumed = ("-m", f"resume={whole}", "checkpoint=epoch-00003", "backend=numpy,torch")
    done = program.run(tmp_path, *resumed)
    assert done.code == 0, done.err
    directories = program.directories(tmp_path)
    assert len(directories) == 2
    for directory in directories:
        assert apart(curve(whole), curve(directory)) < LIMITS["float64"].losses


def test_the_summary_says_how_to_go_on(
    uninterrupted: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = uninterrupted("adam", "numpy")
    result = run(tmp_path, f"resume={whole}", "trainer.epochs=7")
    summary.show(result, Console(width=110))
    assert f"python -m harness resume={tmp_path} trainer.epochs=14" in capsys.readouterr().out
