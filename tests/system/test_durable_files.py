"""Files are whole and on the disk once they have their names, whatever stops the process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.runs.identity import Identity
from harness.runs.run import run as carry_out
from harness.system.durable_files import PARTIAL, sync_tree, write_file, write_files, write_new
from harness.training.checkpoints import params_writer
from tests.support import ROOT
from tests.support.configs import config

Calls = list[tuple[str, str]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Every fsync and rename from now on, in order, with the name of the file or folder."""
    made: Calls = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(opened: int) -> None:
        made.append(("fsync", Path(os.readlink(f"/proc/self/fd/{opened}")).name))
        fsync(opened)

    def note_replace(source: Path, target: Path) -> None:
        made.append(("rename", Path(target).name))
        assert Path(source).name == made[-2][1], "forced to the disk just before"
        replace(source, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    return made


on_linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="names come from /proc")


@on_linux
def test_a_file_is_on_the_disk_before_its_name_and_the_name_before_the_end(
    tmp_path: Path, calls: Calls
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    write_files({folder / "a.json": "{}", folder / "b.bin": b"\0", folder / "w/c.csv": "x"})
    assert calls == [
        *[("fsync", ".a.json.partial"), ("rename", "a.json")],
        *[("fsync", ".b.bin.partial"), ("rename", "b.bin")],
        *[("fsync", ".c.csv.partial"), ("rename", "c.csv")],
        *[("fsync", "run"), ("fsync", "w")],
    ]


@on_linux
def test_every_file_of_a_run_is_written_so(tmp_path: Path, calls: Calls) -> None:
    words = ("task.samples=60", "model.units=3", "tracking=journal", "trainer.epochs=2")
    words += ("trainer.save_gradient=true", "trainer.checkpoint_every=1")
    folder = tmp_path / "run"
    carry_out(config(*words), Identity(name="run", directory=folder, overrides=[]))
    renamed = {name for kind, name in calls if kind == "rename"}
    written = {path.name for path in folder.rglob("*") if path.is_file()}
    assert written - renamed == {"journal.jsonl"}
    assert ("fsync", "journal.jsonl") in calls
    for name in ("run", "weights", "plots", "checkpoints"):
        assert ("fsync", name) in calls, "the folder, too"
    assert not [path for path in folder.rglob("*") if PARTIAL.fullmatch(path.name)]


def test_contents_are_bytes_text_or_what_a_function_writes(tmp_path: Path) -> None:
    write_file(tmp_path / "bytes", b"\r\n\0")
    write_file(tmp_path / "text", "·\n")
    write_file(tmp_path / "w/weights", params_writer({"w": np.ones((1, 2))}))
    assert (tmp_path / "bytes").read_bytes() == b"\r\n\0"
    assert (tmp_path / "text").read_bytes() == "·\n".encode()
    assert b'"w"' in (tmp_path / "w/weights").read_bytes()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bytes", "text", "w", "weights"]


def test_a_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    write_file(tmp_path / "one", "")
    assert (tmp_path / "one").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_writer_that_fails_leaves_the_earlier_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_file(path, "whole")

    def fail(partial: Path) -> None:
        partial.write_text("ha")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_file(path, fail)
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_nobodys_temporary_file_is_written_over(tmp_path: Path) -> None:
    """Neither one that a killed process left, nor one of a user's."""
    earlier = tmp_path / ".table.csv.partial"
    earlier.write_text("mine")
    write_file(tmp_path / "table.csv", "whole")
    assert (earlier.read_text(), (tmp_path / "table.csv").read_text()) == ("mine", "whole")
    assert PARTIAL.fullmatch(earlier.name)
    assert not PARTIAL.fullmatch("table.csv")


@on_linux
def test_a_folder_is_on_the_disk_with_all_that_is_in_it(tmp_path: Path, calls: Calls) -> None:
    (tmp_path / "model/deep").mkdir(parents=True)
    (tmp_path / "model/a").write_text("")
    (tmp_path / "model/deep/b").write_text("")
    sync_tree(tmp_path / "model")
    assert set(calls) == {("fsync", name) for name in ("a", "b", "deep", "model")}


# Killed while it writes, after the fsync, and after the rename.
KILLED = """
import os, signal, sys
from pathlib import Path
from harness.system.durable_files import write_file

def stop(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def half(path):
    path.write_text("ha")
    stop()

path, place = Path(sys.argv[1]), sys.argv[2]
if place == "rename":
    os.replace = stop
if place == "folder":
    import harness.system.durable_files as durable_files
    durable_files.sync_folder = stop
write_file(path, half if place == "write" else "new")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("place", ["write", "rename", "folder"])
def test_a_killed_process_leaves_one_whole_file(tmp_path: Path, place: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    command = [sys.executable, "-c", KILLED, str(path), place]
    done = subprocess.run(command, cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == ("new" if place == "folder" else "old")
    others = [other.name for other in tmp_path.iterdir() if other != path]
    assert others == ([] if place == "folder" else [".table.csv.partial"])


def test_a_file_system_that_cannot_force_anything_to_the_disk_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_opened: int) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    write_file(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"


def test_a_disk_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_opened: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="Input/output"):
        write_file(tmp_path / "a", "text")
    assert list(tmp_path.iterdir()) == []


def test_a_new_file_is_no_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "folder/new.json"
    write_new(path, "first")
    with pytest.raises(FileExistsError):
        write_new(path, "second")
    assert path.read_text() == "first"


def test_a_new_file_that_could_not_be_written_is_gone(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_new(tmp_path / "new.json", fail)
    assert not list(tmp_path.iterdir())
