"""Runs and sweeps that are stopped in the middle of training: by a signal, by a closed terminal.

Decides how each ends (exit code, journal, MLflow), what is kept of it, and that a killed process
leaves a journal that can be read.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread

import pytest

from harness.core.file_names import JOURNAL
from harness.tracking.journal import last
from tests.support import ROOT, program
from tests.support.program import Done, uses_mlflow
from tests.support.run_folder import files

pytestmark = uses_mlflow

LONG = "trainer.epochs=100000"

STOPPED = {
    "SIGINT": (signal.SIGINT, [LONG]),
    "SIGTERM": (signal.SIGTERM, [LONG]),
    "SIGHUP": (signal.SIGHUP, [LONG]),
    "SIGQUIT": (signal.SIGQUIT, [LONG, "tracking=journal"]),
    "SIGKILL": (signal.SIGKILL, [LONG, "tracking=journal"]),
    "sweep": (signal.SIGINT, ["-m", "hydra/launcher=basic", "seed=0,1,2", LONG]),
    "together": (signal.SIGINT, ["-m", "seed=0,1,2", LONG, "hydra.launcher.workers=1"]),
}

Stopped = dict[str, tuple[Path, Done]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stopped]:
    """Programs that were stopped in the middle of training, all of them at about the same time."""
    folders = {name: tmp_path_factory.mktemp(name) for name in STOPPED}
    ended: Stopped = {}
    with ExitStack() as stack:
        processes = {}
        for name, (_, arguments) in STOPPED.items():
            started = program.running(program.with_database(folders[name]), *arguments)
            processes[name] = stack.enter_context(started)
        for name, process in processes.items():
            program.wait_until(program.trains(folders[name]), process)
            for _ in range(2):  # shells and launchers often signal twice
                process.send_signal(STOPPED[name][0])
        for name, process in processes.items():
            ended[name] = folders[name], program.finish(process)
        yield ended


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_run_that_is_stopped_ends_as_killed(stopped: Stopped, name: str) -> None:
    folder, done = stopped[name]
    assert done.code == 128 + signal.Signals[name]
    assert f"Stopped by {name}" in done.err
    assert "Traceback" not in done.err
    directory = program.directory(folder)
    end = last(directory, "end")
    assert end is not None
    assert end["status"] == "KILLED"
    assert "traceback.txt" not in files(directory), "nothing went wrong"
    assert any((directory / "checkpoints").iterdir())
    if "tracking=journal" not in STOPPED[name][1]:
        [run] = program.tracked(folder)
        assert run.info.status == "KILLED"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_what_was_measured_until_then_is_in_mlflow(stopped: Stopped, name: str) -> None:
    folder, _ = stopped[name]
    [run] = program.tracked(folder)
    logged = program.history(folder, run.info.run_id, "train/loss")
    journalled = program.journalled(program.directory(folder), "train/loss")
    expected = [(step, values[0]) for step, values in journalled]
    assert len(logged) >= 2
    # The signal may have come after a line was written and before it was queued.
    assert logged in (expected, expected[:-1])
    assert JOURNAL in program.artifacts(folder, run.info.run_id)


def test_a_sweep_that_is_stopped_runs_no_further_job(stopped: Stopped) -> None:
    folder, done = stopped["sweep"]
    assert done.code == 130
    assert "Traceback" not in done.err
    assert [directory.name for directory in program.directories(folder)] == ["0"]
    assert "2 of 3 jobs were not started" in done.out
    parent, child = program.tracked(folder)
    assert (parent.info.status, child.info.status) == ("KILLED", "KILLED")
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert len(program.history(folder, child.info.run_id, "train/loss")) >= 2


def test_jobs_that_are_trained_together_are_stopped_together(stopped: Stopped) -> None:
    folder, done = stopped["together"]
    assert done.code == 130
    assert "Traceback" not in done.err
    assert done.err.strip().splitlines()[-1] == "Stopped by SIGINT"
    assert "3 of 3 jobs did not finish" in done.out
    assert len(program.directories(folder)) == 3
    parent, *children = program.tracked(folder)
    assert len(children) == 3
    assert {run.info.status for run in (parent, *children)} == {"KILLED"}


def test_the_journal_of_a_process_that_was_killed_can_be_read(stopped: Stopped) -> None:
    folder, done = stopped["SIGKILL"]
    assert done.code == -signal.SIGKILL
    directory = program.directory(folder)
    assert last(directory, "end") is None, "nobody was there to write it"
    assert last(directory, "start") is not None
    steps = [step for step, _ in program.journalled(directory, "train/loss")]
    assert len(steps) >= 2
    assert steps == list(range(1, len(steps) + 1))


def test_a_run_ends_as_killed_when_its_terminal_is_closed(tmp_path: Path) -> None:
    """SIGHUP comes, and whatever is printed afterwards has nowhere to go."""
    folder = program.with_database(tmp_path)
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, LONG],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=end,
        stdout=end,
        stderr=end,
        start_new_session=True,
        text=True,
    )
    os.close(end)
    Thread(target=read_all, args=[terminal], daemon=True).start()
    try:
        program.wait_until(program.trains(folder), process)
        os.close(terminal)
        assert process.wait(timeout=10 * program.PATIENCE) == 128 + signal.SIGHUP
    finally:
        process.kill()
        process.wait()
    end = last(program.directory(folder), "end")
    assert end is not None
    assert end["status"] == "KILLED"
    [run] = program.tracked(folder)
    assert run.info.status == "KILLED"


# A child of ours that takes the terminal for its own, as a shell's would.
TERMINAL = """
import fcntl, sys, termios
from harness import __main__

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.exit(__main__.main())
"""


def read_all(terminal: int) -> None:
    """Show the terminal, so that nobody waits for it."""
    with suppress(OSError):
        while os.read(terminal, 65536):
            pass
