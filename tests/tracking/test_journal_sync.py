"""Journals are on the disk within a second, and show that the process that writes them lives.

Decides as well what a disk that fills up in the middle of a line costs. Nothing is timed: a test
polls until it has happened.
"""

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.file_names import JOURNAL
from harness.tracking import journal_sync
from harness.tracking.journal import read
from harness.tracking.journal_writer import Journal, append
from tests.support import ROOT
from tests.support.program import PATIENCE

LONG_AGO = 10**9  # seconds since 1970


def wait_until(happened: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.01)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The length of each file when it was last forced to the disk, by its number on the disk."""
    lengths: dict[int, int] = {}
    fsync = os.fsync

    def note(opened: int) -> None:
        status = os.fstat(opened)
        fsync(opened)
        lengths[status.st_ino] = status.st_size

    monkeypatch.setattr(os, "fsync", note)
    return lengths


def is_on_disk(folder: Path, lengths: dict[int, int]) -> bool:
    status = (folder / JOURNAL).stat()
    return lengths.get(status.st_ino) == status.st_size


def test_lines_are_forced_to_the_disk_while_the_journal_is_open(
    tmp_path: Path, on_disk: dict[int, int]
) -> None:
    journals = [Journal(tmp_path / name) for name in "ab"]
    for journal in journals:
        journal.write("metrics", step=1)
    append(tmp_path / "a", "mlflow", run_id="1")
    (tmp_path / "c").mkdir()
    append(tmp_path / "c", "job", number=0)
    wait_until(lambda: all(is_on_disk(tmp_path / name, on_disk) for name in "abc"))
    journals[0].write("metrics", step=2)
    wait_until(lambda: is_on_disk(tmp_path / "a", on_disk))


def test_lines_are_forced_to_the_disk_at_once_where_it_matters(
    tmp_path: Path, on_disk: dict[int, int]
) -> None:
    journal = Journal(tmp_path / "run")
    journal.write("start")
    journal.sync()
    assert is_on_disk(tmp_path / "run", on_disk)
    for folder in (tmp_path / "run", tmp_path):
        assert folder.stat().st_ino in on_disk, "the journal's name, and its folder's"
    journal.write("end")
    journal.close()
    assert is_on_disk(tmp_path / "run", on_disk)


def test_lines_are_forced_to_the_disk_as_the_process_ends(tmp_path: Path) -> None:
    """A sweep adds its jobs to its journal without keeping it open."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "from harness.tracking import journal_sync, journal_writer\n"
        "journal_sync.SYNC_SECONDS = 1e9\n"
        "fsync = os.fsync\n"
        "os.fsync = lambda opened: (print(os.fstat(opened).st_size), fsync(opened))\n"
        "journal_writer.append(Path(sys.argv[1]), 'job', number=0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    assert int(done.stdout) == (tmp_path / JOURNAL).stat().st_size


def test_a_folder_that_is_removed_meanwhile_is_nobodys_concern(
    tmp_path: Path, on_disk: dict[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    gone, other = Journal(tmp_path / "gone"), Journal(tmp_path / "other")
    gone.write("start")
    (tmp_path / "gone" / JOURNAL).unlink()
    other.write("start")
    wait_until(lambda: is_on_disk(tmp_path / "other", on_disk))
    assert not caplog.records


def test_journals_that_are_open_are_touched_and_others_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_sync, "HEARTBEAT_SECONDS", float("inf"))
    names = ["open", "closed", "dropped"]
    journals = {name: Journal(tmp_path / name) for name in names}
    for name, journal in journals.items():
        journal.write("start")
        journal.sync()
        os.utime(tmp_path / name / JOURNAL, (LONG_AGO, LONG_AGO))
    journals["closed"].close()
    del journal, journals["dropped"]
    gc.collect()

    def touched(name: str) -> bool:
        return (tmp_path / name / JOURNAL).stat().st_mtime > LONG_AGO

    assert not any(map(touched, names)), "to force a file to the disk does not touch it"
    monkeypatch.setattr(journal_sync, "HEARTBEAT_SECONDS", 0.0)
    wait_until(lambda: touched("open"))
    assert not touched("closed")
    assert not touched("dropped")
    assert len((tmp_path / "open" / JOURNAL).read_bytes().splitlines()) == 1


# The limit on the size of files is a disk that is full, for one process.
FULL = """
import resource, sys
from pathlib import Path
from harness.tracking.journal import JOURNAL
from harness.tracking.journal_writer import Journal

folder = Path(sys.argv[1])
journal = Journal(folder)
journal.write("tags", values={})
size = (folder / JOURNAL).stat().st_size
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + int(sys.argv[2]), most))
try:
    journal.write("metrics", step=1, values={})
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
journal.write("metrics", step=2, values={})
journal.write("end", status="FAILED")
journal.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("room", [0, 1, 30])
def test_a_disk_that_fills_up_within_a_line_costs_that_line_only(tmp_path: Path, room: int) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path), str(room)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert "File too large" in done.stdout
    events = list(read(tmp_path))
    assert [event["kind"] for event in events] == ["tags", "metrics", "end"]
    assert events[1]["step"] == 2


FORKED = """
import os, sys
from pathlib import Path
from harness.tracking import journal_sync
from harness.tracking.journal_writer import Journal

folder = Path(sys.argv[1])
theirs = Journal(folder / "parent")
theirs.write("start")
if os.fork() == 0:
    assert not (journal_sync._running or journal_sync._unsynced or list(journal_sync._open))
    own = Journal(folder / "child")
    own.write("start")
    assert journal_sync._running
    assert list(journal_sync._open.values()) == [f"{folder}/child/journal.jsonl"]
    own.close()
    os._exit(0)
_, status = os.wait()
assert status == 0
assert list(journal_sync._open.values()) == [f"{folder}/parent/journal.jsonl"]
theirs.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_that_is_forked_begins_anew(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
