"""Pictures of many runs are drawn in other processes, and are those that this one would draw."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks.common.processes import environment
from harness.runs import figures
from harness.system import signals, worker_processes
from harness.tasks import Bound
from harness.tracking.journal_writer import Journal

PATHS = ["plots/predictions.png", "plots/loss.png"]


def run(folder: Path, number: int) -> tuple[Any, ...]:
    """The arguments of `figures.draw` for a run of three epochs."""
    directory = folder / str(number)
    journal = Journal(directory)
    for epoch in (1, 2, 3):
        journal.write("metrics", step=epoch, values={"train/loss": [number + 1 / epoch]})
    journal.close()
    true = [0.0, 1.0, 2.0]
    table = pd.DataFrame({"split": "test", "true": true, "predicted": [number, 1.0, 2.5]})
    return directory, f"run {number}", "mse", Bound(0.5, "noise"), table


def runs(folder: Path) -> list[tuple[Any, ...]]:
    return [run(folder, number) for number in range(figures.MIN_RUNS)]


@pytest.fixture(autouse=True)
def several_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_processes, "usable_cores", lambda: 2)


def workers() -> list[int]:
    """The processes that draw."""
    return [process.pid for process in multiprocessing.active_children() if process.pid]


def test_pictures_of_many_are_those_of_one(tmp_path: Path) -> None:
    alone, together = runs(tmp_path / "alone"), runs(tmp_path / "together")
    for arguments in alone:
        assert figures.draw(*arguments) == PATHS
    assert figures.draw_all(together) == [PATHS] * figures.MIN_RUNS
    assert len(workers()) == 2
    assert os.getpid() not in workers()
    for here, there in zip(alone, together, strict=True):
        for path in PATHS:
            assert (here[0] / path).read_bytes() == (there[0] / path).read_bytes()


def test_a_run_that_cannot_be_drawn_harms_no_other(tmp_path: Path) -> None:
    found = runs(tmp_path)
    found[3] = (*found[3][:4], "no table")
    done = figures.draw_all(found)
    assert isinstance(done.pop(3), Exception)
    assert done == [PATHS] * (figures.MIN_RUNS - 1)


def test_pictures_are_drawn_here_if_the_processes_are_killed(tmp_path: Path) -> None:
    figures.draw_all(runs(tmp_path / "before"))
    for worker in workers():
        os.kill(worker, signal.SIGKILL)
    assert figures.draw_all(runs(tmp_path / "then")) == [PATHS] * figures.MIN_RUNS
    assert figures.draw_all(runs(tmp_path / "after")) == [PATHS] * figures.MIN_RUNS
    assert len(workers()) == 2


# Python may lose the exception in a weak reference's callback; the stop is remembered all the same.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_leaves_what_has_not_begun(tmp_path: Path) -> None:
    figures.draw_all(runs(tmp_path / "before"))  # now the processes are there
    many = [run(tmp_path, number) for number in range(200)]

    def stop() -> None:
        while not (tmp_path / "0" / PATHS[0]).exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    before = {number: signal.getsignal(number) for number in signals.SIGNALS}
    signals.install()
    try:
        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(KeyboardInterrupt):
            figures.draw_all(many)
    finally:
        signals.install()  # which forgets the stop
        for number, handler in before.items():
            signal.signal(number, handler)
    figures.draw_all(runs(tmp_path / "after"))  # by then all that was left in the queue is drawn
    assert not (tmp_path / "199" / PATHS[0]).exists()


PROGRAM = """
import multiprocessing, time
from harness.runs import figures
from harness.system import worker_processes

if __name__ == "__main__":
    worker_processes.usable_cores = lambda: 2
    figures.draw_all([("nothing to draw",)] * figures.MIN_RUNS)
    print(*[process.pid for process in multiprocessing.active_children()], flush=True)
    time.sleep(6000)
"""


def test_processes_end_with_a_program_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "program.py")]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        started = [int(word) for word in program.stdout.readline().split()]
        assert started
        assert all(map(runs_still, started))
        program.kill()
    for _ in range(10_000):
        if not any(map(runs_still, started)):
            return
        time.sleep(0.1)
    pytest.fail(f"still there: {started}")


def runs_still(process: int) -> bool:
    """A zombie that nobody waits for does not count."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
