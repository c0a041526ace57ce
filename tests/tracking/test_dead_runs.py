"""Whether a run's process is gone: by its identity here, by its journal's time elsewhere."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.core.file_names import JOURNAL
from harness.system.process_identity import is_running, this_process
from harness.tracking.dead_runs import HEARTBEAT_AGE, end_if_dead, is_abandoned, is_dead
from harness.tracking.job_outcomes import Job, status_of
from harness.tracking.journal import end_of, read
from harness.tracking.journal_writer import Journal, append
from harness.tracking.launched_jobs import record_job
from tests.support import ROOT
from tests.support.run_logs import START

ELSEWHERE = {"host": "another", "container": "", "boot": "1", "pid": 1, "started": 1.0}


def begun(directory: Path, **process: Any) -> Path:
    """A journal with a start, of this process or of another one."""
    journal = Journal(directory)
    fields = {"process": process} if process else {}
    journal.write("start", **START, **fields, parent=None, store=None)
    journal.close()
    return directory


def grow_old(directory: Path) -> None:
    past = time.time() - HEARTBEAT_AGE - 60
    os.utime(directory / JOURNAL, (past, past))


def test_this_process_runs() -> None:
    assert is_running(this_process())
    assert is_running(json.loads(json.dumps(this_process()))), "as a journal has it"


def test_another_process_of_the_same_number_is_another() -> None:
    assert is_running(this_process() | {"started": 1.0}) is False
    assert is_running(this_process() | {"boot": "before"}) is False


@pytest.mark.parametrize("change", [{"host": "another"}, {"container": "another"}])
def test_of_another_machine_or_container_nothing_is_known(change: dict[str, str]) -> None:
    assert is_running(this_process() | change) is None


def test_a_process_that_has_ended_is_gone() -> None:
    """Also before its parent has asked how it ended."""
    code = "import json; from harness.system.process_identity import this_process; "
    code += "print(json.dumps(this_process()), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        identity = json.loads(process.stdout.readline())
        assert is_running(identity)
        process.kill()
        while is_running(identity):
            time.sleep(0.01)
        assert process.returncode is None, "nobody has asked yet"


def test_a_run_that_goes_on_gets_no_end(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run")
    grow_old(directory)
    assert not is_dead(directory)
    assert not end_if_dead(directory)
    assert end_of(directory) is None


def test_a_dead_run_gets_one_end(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run", **this_process() | {"started": 1.0})
    assert end_if_dead(directory)
    assert not end_if_dead(directory)
    [end] = [event for event in read(directory) if event["kind"] == "end"]
    assert end["status"] == "KILLED"
    assert is_abandoned(directory)
    assert not is_dead(directory)


def test_the_end_of_a_dead_run_follows_a_line_that_was_cut_short(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run", **this_process() | {"started": 1.0})
    with (directory / JOURNAL).open("a") as file:
        file.write('{"kind": "metr')
    assert end_if_dead(directory)
    assert [event["kind"] for event in read(directory)] == ["start", "end"]


def test_a_run_of_another_machine_is_dead_when_its_journal_has_grown_old(tmp_path: Path) -> None:
    directory = begun(tmp_path / "run", **ELSEWHERE)
    assert not is_dead(directory)
    grow_old(directory)
    assert is_dead(directory)


def test_a_sweep_of_another_machine_lives_while_a_job_does(tmp_path: Path) -> None:
    append(tmp_path, "sweep", arguments=[], varying=[], jobs=1, process=ELSEWHERE)
    record_job(tmp_path, 0, begun(tmp_path / "0", **ELSEWHERE))
    grow_old(tmp_path)
    assert not is_dead(tmp_path)
    grow_old(tmp_path / "0")
    assert is_dead(tmp_path)
    assert end_if_dead(tmp_path)
    for directory in (tmp_path, tmp_path / "0"):
        assert (end_of(directory) or {})["status"] == "KILLED"


@pytest.mark.parametrize(
    ("statuses", "planned", "expected"),
    [
        (["FINISHED", "FINISHED"], 2, "FINISHED"),
        (["FINISHED", "FINISHED"], 3, "KILLED"),
        (["FINISHED", "FINISHED"], 0, "FINISHED"),
        (["FINISHED", "FAILED"], 2, "FAILED"),
        (["FAILED", "LOST"], 2, "KILLED"),
        (["FAILED", "KILLED"], 2, "KILLED"),
    ],
)
def test_a_sweep_gets_its_status_from_its_jobs(
    statuses: list[str], planned: int, expected: str
) -> None:
    jobs = [
        Job(number=i, folder=str(i), name="", status=status) for i, status in enumerate(statuses)
    ]
    assert status_of(jobs, planned) == expected
