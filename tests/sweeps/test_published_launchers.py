"""Hydra's published launchers run our jobs in processes of their own, one job at a time.

They know nothing of this project: what they start is found by its journals, and stopped there.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.tracking.job_outcomes import jobs
from harness.tracking.sent import is_complete
from tests.support import ROOT, program
from tests.support.program import uses_mlflow
from tests.sweeps.test_workers import all_train, in_use

pytestmark = uses_mlflow

LAUNCHERS = {
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
    "submitit": ["hydra/launcher=submitit_local"],
}
SMALL = ["task.samples=40", "model.units=4", "hydra.sweep.dir=sw", "tracking.wait_seconds=1200"]


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_job_is_done_and_a_failing_one_hides_no_other(name: str, tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = ["-m", *SMALL, *LAUNCHERS[name], "optimizer=sgd", "trainer.epochs=3"]
    done = program.run(folder, *words, "optimizer.lr=0.001,1e30,0.002")
    assert done.code == 1, done.err
    assert [job.status for job in jobs(folder / "sw")] == ["FINISHED", "FAILED", "FINISHED"]
    assert "1 of 3 jobs did not finish" in done.out
    parent, *children = program.tracked(folder)
    assert parent.info.status == "FAILED"
    assert sorted(run.info.status for run in children) == ["FAILED", "FINISHED", "FINISHED"]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}


@pytest.mark.parametrize("name", LAUNCHERS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_stop_ends_what_they_have_started(
    name: str, number: signal.Signals, tmp_path: Path
) -> None:
    """Ctrl-C reaches the whole group of processes, SIGTERM the program alone."""
    folder = program.with_database(tmp_path)
    words = ["-m", *SMALL, *LAUNCHERS[name], "trainer.epochs=1000000", "seed=0,1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    program.wait_until(lambda: all_train(folder, 2), process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    done = program.finish(process)
    assert done.code == 128 + number
    assert {job.status for job in jobs(folder / "sw")} == {"KILLED"}
    while in_use(folder) or not is_complete(folder / "sw"):
        time.sleep(0.1)  # the time limit of a test ends what hangs
    assert [run.info.status for run in program.tracked(folder)] == ["KILLED"] * 3
