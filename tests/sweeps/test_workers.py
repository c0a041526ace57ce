"""A sweep in worker processes: the same numbers as in one, and nothing lost when processes die.

The processes are real, and are really killed.
"""

import os
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from harness.tracking.job_outcomes import jobs
from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.run_folder import FILES, files
from tests.sweeps.test_launcher import numbers

pytestmark = uses_mlflow

SMALL = ["task.samples=60", "task.length=4", "model.units=5", "precision=float64"]
PLACE = "hydra.sweep.dir=sw"
TWO = "hydra.launcher.workers=2"
LONG = [*SMALL, "trainer.epochs=1000000", "trainer.checkpoint_every=20", "tracking.flush_seconds=1"]


def workers(pid: int) -> list[psutil.Process]:
    """The worker processes of a program."""
    found: list[psutil.Process] = []
    for child in psutil.Process(pid).children():
        with suppress(psutil.Error):  # it ends just now
            found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
    return found


def in_use(folder: Path) -> list[str]:
    """The processes that work in a folder, but for MLflow's."""
    found: list[str] = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            if Path(process.cwd()) == folder and "mlflow_worker" not in command:
                found.append(command)
        except psutil.Error:  # it ends just now, or is another user's
            continue
    return found


def all_train(folder: Path, count: int, epochs: int = 45) -> bool:
    """Whether as many jobs have so many epochs behind them."""
    found = [path.parent for path in folder.glob("sw/*/journal.jsonl")]
    return sum(len(program.journalled(each, "train/loss")) >= epochs for each in found) >= count


def test_a_sweep_has_the_same_numbers_with_any_number_of_workers(tmp_path: Path) -> None:
    words = ["-m", "seed=range(5)", "backend=numpy,jax", "trainer.epochs=4", *SMALL, PLACE]
    for count in (1, 2):
        folder = program.with_database(tmp_path / str(count))
        done = program.run(folder, *words, f"hydra.launcher.workers={count}")
        assert done.code == 0, done.err
        parent, *children = program.tracked(folder)
        assert len(children) == 10
        assert {run.info.status for run in (parent, *children)} == {"FINISHED"}
        assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
        assert parent.data.metrics["jobs/finished"] == 10
        assert "report/report.html" in program.artifacts(folder, parent.info.run_id)
    names = [[job.name for job in jobs(tmp_path / count / "sw")] for count in ("1", "2")]
    assert names[0] == names[1]
    for job in map(str, range(10)):
        one, two = (tmp_path / count / "sw" / job for count in ("1", "2"))
        assert {name for name in files(two) if "epoch-" not in name} >= {
            name for name in FILES if "epoch-" not in name
        }
        for name, value in numbers(one).items():
            np.testing.assert_allclose(numbers(two)[name], value, rtol=1e-9, atol=1e-12)


def test_a_worker_that_is_killed_costs_its_jobs_a_second_try(tmp_path: Path) -> None:
    words = [*SMALL, "trainer.epochs=600", "trainer.checkpoint_every=20", "seed=range(6)"]
    folder = program.with_database(tmp_path / "killed")
    with program.running(folder, "-m", *words, PLACE, TWO) as process:
        program.wait_until(lambda: all_train(folder, 6), process)
        workers(process.pid)[0].kill()
        done = program.finish(process)
    assert done.code == 0, done.err
    assert "was killed by SIGKILL" in done.err
    whole = program.with_database(tmp_path / "whole")
    assert program.run(whole, "-m", *words, PLACE, "hydra.launcher.workers=1").code == 0
    check_went_on(folder, whole, again=3)


def check_went_on(folder: Path, whole: Path, again: int) -> None:
    """Six jobs have finished once with the curves of those in `whole`, `again` by a second try."""
    found = jobs(folder / "sw")
    assert [(job.number, job.status) for job in found] == [(n, "FINISHED") for n in range(6)]
    second = [job for job in found if job.folder != str(job.number)]
    assert [job.folder for job in second] == [f"{job.number}-2" for job in second]
    assert len(second) == again, "those of one worker"
    statuses = Counter(run.info.status for run in program.tracked(folder)[1:])
    assert statuses == {"FINISHED": 6, "KILLED": again}
    for job in found:
        expected = program.journalled(whole / "sw" / str(job.number), "val/loss")
        assert program.journalled(folder / "sw" / job.folder, "val/loss") == expected
    resumed = [program.events(folder / "sw" / job.folder, "start")[0]["params"] for job in second]
    assert all("resume" in params for params in resumed), "they went on from their checkpoints"


DEADLY = """
import multiprocessing
import os
import signal
from dataclasses import dataclass
from harness.tasks.sum import Sum


@dataclass(frozen=True)
class Deadly(Sum):
    kills: bool = False

    def draw(self, rng):
        if self.kills and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().draw(rng)
"""


def test_only_the_job_fails_that_kills_its_worker(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    (folder / "deadly.py").write_text(DEADLY)
    (folder / "conf/task").mkdir(parents=True)
    option = "defaults: [sum, _self_]\n_target_: deadly.Deadly\nkills: false\n"
    (folder / "conf/task/deadly.yaml").write_text(option)
    words = ["-m", "--config-dir", "conf", "task=deadly", "task.kills=false,true", "seed=0,1"]
    done = program.run(folder, *words, *SMALL, "trainer.epochs=2", PLACE, TWO)
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    found = jobs(folder / "sw")
    statuses = {job.name: job.status for job in found}
    assert statuses == {
        "False·seed=0": "FINISHED",
        "False·seed=1": "FINISHED",
        "True·seed=0": "FAILED",
        "True·seed=1": "FAILED",
    }
    errors = {job.error for job in found if job.status == "FAILED"}
    assert len(errors) == 1
    assert "its worker process was killed by SIGKILL" in errors.pop()
    assert Counter(run.info.status for run in program.tracked(folder)[1:])["FINISHED"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_a_stop_closes_all_runs_everywhere(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C reaches the workers, too, as from a terminal; SIGTERM the program alone."""
    folder = program.with_database(tmp_path)
    with program.running(folder, "-m", *LONG, "seed=range(4)", PLACE, TWO) as process:
        program.wait_until(lambda: all_train(folder, 4), process)
        if number == signal.SIGINT:
            for worker in workers(process.pid):
                worker.send_signal(number)
        process.send_signal(number)
        done = program.finish(process)
    assert done.code == 128 + number
    assert "Traceback" not in done.err
    assert in_use(folder) == []
    assert {job.status for job in jobs(folder / "sw")} == {"KILLED"}
    assert [run.info.status for run in program.tracked(folder)] == ["KILLED"] * 5


def test_workers_take_no_notice_of_ctrl_c_while_they_start(tmp_path: Path) -> None:
    """The program closes their runs; a terminal sends the signal to them, too."""
    words = ["-m", *SMALL, "trainer.epochs=2", "seed=range(4)", PLACE, TWO, "tracking=journal"]
    process, told = program.start(tmp_path, *words), set[int]()
    while process.poll() is None:
        with suppress(psutil.Error):  # it ends just now
            for worker in workers(process.pid):
                worker.send_signal(signal.SIGINT)
                told.add(worker.pid)
        time.sleep(0.02)
    done = program.finish(process)
    assert len(told) == 2
    assert (done.code, "Traceback" in done.err) == (0, False), done.err


def test_workers_do_not_outlive_a_program_that_is_killed(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    with program.running(folder, "-m", *LONG, "seed=range(4)", PLACE, TWO) as process:
        program.wait_until(lambda: all_train(folder, 4), process)
        found = workers(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    psutil.wait_procs(found, timeout=program.PATIENCE)
    assert in_use(folder) == []
    assert {job.status for job in jobs(folder / "sw")} == {"KILLED"}


PHASES = {  # what is there, once a worker is so far
    "starts": "multirun.yaml",
    "begins": "*/journal.jsonl",
    "trains": "*/checkpoints/*",
    "writes files": "*/predictions.csv",
}


@pytest.mark.parametrize("phase", PHASES)
def test_workers_may_be_killed_in_each_phase(phase: str, tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = ["-m", *SMALL, "trainer.epochs=60", "trainer.checkpoint_every=20", "seed=range(4)"]
    with program.running(folder, *words, PLACE, TWO) as process:
        program.wait_until(lambda: len(workers(process.pid)) == 2, process)
        program.wait_until(lambda: any(folder.glob(f"sw/{PHASES[phase]}")), process)
        for worker in workers(process.pid):
            worker.kill()
        done = program.finish(process)
    assert done.code == 0, done.err
    assert [(job.number, job.status) for job in jobs(folder / "sw")] == [
        (number, "FINISHED") for number in range(4)
    ]
    parent, *children = program.tracked(folder)
    statuses = Counter(run.info.status for run in children)
    assert parent.info.status == "FINISHED"
    assert statuses.pop("FINISHED") == 4
    assert set(statuses) <= {"KILLED"}
