"""Sweeps that are submitted and left: submitit's local executor stands for Slurm."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from harness.sweeps.engines.slurm import is_queued
from harness.sync import __main__ as sync
from harness.tracking.job_outcomes import jobs
from harness.tracking.journal import end_of
from tests.support import ROOT, program
from tests.support.program import PATIENCE, uses_mlflow
from tests.sweeps.test_workers import PLACE, SMALL, all_train

pytestmark = uses_mlflow

SLURM = ["hydra/launcher=slurm", "hydra.launcher.cluster=local", "hydra.launcher.workers=2"]


def wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.1)


def submit(folder: Path, *words: str) -> str:
    """Run the program, and return what it has printed; tasks keep its standard output open."""
    with (folder / "out.txt").open("w+") as out:
        command = [sys.executable, "-m", "harness", "-m", *words, *SLURM, PLACE]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(
            command,
            cwd=folder,
            env=environment,
            check=True,
            stdout=out,
            stderr=out,
            timeout=PATIENCE,
        )
        out.seek(0)
        return out.read()


def tasks(folder: Path) -> list[psutil.Process]:
    """The processes of tasks, which work in the folder."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if "submitit.core._submit" in command and Path(process.cwd()) == folder:
                found.append(process)
        except psutil.Error:  # it ends just now, or is another user's
            continue
    return found


def test_a_sweep_is_submitted_and_collected_later(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = [*SMALL, "optimizer=sgd", "optimizer.lr=0.001,1e30,0.002", "trainer.epochs=3"]
    assert "submitted 2 tasks; this program is done" in submit(folder, *words)
    wait_for(lambda: end_of(folder / "sw") is not None)
    assert [job.status for job in jobs(folder / "sw")] == ["FINISHED", "FAILED", "FINISHED"]
    assert sync.main([str(folder / "sw")]) == 0
    parent, *children = program.tracked(folder)
    assert parent.info.status == "FAILED"
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED", "FINISHED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert (folder / "sw/report/report.html").exists()


def test_cancelled_tasks_close_their_runs_and_the_sweep_can_go_on(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    submit(folder, *SMALL, "seed=0,1", "trainer.epochs=3000", "trainer.checkpoint_every=50")
    wait_for(lambda: all_train(folder, 2))
    both = tasks(folder)
    for process in both:
        process.suspend()
    refused = program.run(folder, "-m", "sweep.resume=sw")
    assert refused.code == 2
    assert "tasks that were submitted for it still wait or run" in refused.err
    # Slurm sends the second one before the time is over.
    for process, number in zip(both, (signal.SIGTERM, signal.SIGUSR2), strict=True):
        process.send_signal(number)
        process.resume()
    [submitted] = program.events(folder / "sw", "submitted")
    wait_for(lambda: not is_queued(submitted))
    assert [job.status for job in jobs(folder / "sw")] == ["KILLED", "KILLED"]
    assert end_of(folder / "sw") is None, "nobody knows whether others still wait"
    done = program.run(folder, "-m", "sweep.resume=sw", "hydra/launcher=batched")
    assert done.code == 0, done.err
    found = jobs(folder / "sw")
    assert [(job.status, job.folder) for job in found] == [("FINISHED", "0-2"), ("FINISHED", "1-2")]
    assert {program.tracked(folder)[0].info.status} == {"FINISHED"}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hydra.launcher.cluster=lsf", "hydra.launcher.cluster=lsf: must be one of slurm, local"),
        ("hydra.launcher.minutes=2.5", "minutes=2.5: must be a whole number of at least 1"),
        ("hydra.launcher.cluster=slurm", "this machine has no sbatch"),
    ],
)
def test_what_cannot_be_submitted_is_told(
    word: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no sbatch
    done = program.run(tmp_path, "-m", *SLURM, "seed=0,1", "tracking=journal", word)
    assert done.code == 2, done.err
    assert message in done.err
    assert "Traceback" not in done.err
