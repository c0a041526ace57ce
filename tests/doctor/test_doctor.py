"""`harness doctor` finds each thing that can be wrong, says what to do, and mends what it can."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from harness.core.file_names import FINAL_WEIGHTS, JOURNAL, LOSS_PLOT
from harness.doctor import __main__ as doctor_module
from harness.tracking import sent
from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.store_contents import everything_in, uri_in

pytestmark = uses_mlflow

TINY = ("task.samples=40", "trainer.epochs=2", "model.units=4")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and a sweep of two jobs, with which nothing is wrong."""
    folder = program.with_database(tmp_path_factory.mktemp("recorded"))
    for arguments in ((), ("-m", "seed=0,1")):
        done = program.run(folder, *arguments, *TINY)
        assert done.code == 0, done.err
    return folder


@pytest.fixture
def copied(recorded: Path, tmp_path: Path) -> Path:
    shutil.copytree(recorded / "results", tmp_path / "copy/results")
    return tmp_path / "copy"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no cell of a table is broken."""
    monkeypatch.setattr(doctor_module, "console", lambda: Console(width=1000))


def doctor(folder: Path, *arguments: str) -> int:
    return doctor_module.main([*arguments, "--results", str(folder / "results")])


def test_where_nothing_is_wrong_it_says_so(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(copied) == 0
    assert "3 runs and 1 sweep: nothing is wrong" in capsys.readouterr().out


def run_of(folder: Path) -> Path:
    [directory] = folder.glob("results/runs/*")
    return directory


def without_end(folder: Path) -> None:
    """The run and the sweep look as if their process had been killed."""
    for directory in (run_of(folder), *folder.glob("results/multirun/*"), *jobs(folder)[1:]):
        path = directory / JOURNAL
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if json.loads(line)["kind"] != "end"))


def jobs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"results/multirun/*/*/{JOURNAL}"))


def without_database(folder: Path) -> None:
    for path in (folder / "results").glob("mlflow.db*"):
        path.unlink()


def with_another_status(folder: Path) -> None:
    known = sent.address(run_of(folder))
    assert known is not None
    program.mlflow(folder).set_terminated(known["run_id"], "FAILED")


def without_artifact(folder: Path) -> None:
    next(folder.glob(f"results/artifacts/sum/*/artifacts/{LOSS_PLOT}")).unlink()


def twice(folder: Path) -> None:
    known = sent.address(run_of(folder))
    assert known is not None
    mlflow = program.mlflow(folder)
    tags = mlflow.get_run(known["run_id"]).data.tags
    mlflow.create_run(known["experiment_id"], tags={"journal.id": tags["journal.id"]})


def with_leftovers(folder: Path) -> None:
    for place in (".config.yaml.partial", "weights/.final.safetensors.2.partial"):
        path = run_of(folder) / place
        path.touch()
        os.utime(path, (0, 0))


MENDED: dict[Callable[[Path], None], str] = {
    without_end: "claims to run, but its process is gone",
    without_database: "MLflow's database is gone",
    with_another_status: "is FAILED in MLflow, but FINISHED in its journal",
    without_artifact: f"MLflow lacks {LOSS_PLOT}",
    twice: "MLflow has it twice",
    with_leftovers: "is left over from a process that was killed",
}


@pytest.mark.parametrize("damage", MENDED, ids=lambda f: f.__name__)
def test_what_is_wrong_is_told_and_mended(
    recorded: Path,
    copied: Path,
    damage: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = everything_in(uri_in(recorded))
    damage(copied)
    assert doctor(copied) == 1
    assert MENDED[damage] in capsys.readouterr().out
    assert doctor(copied, "--fix") == 0
    assert "0 left" in capsys.readouterr().out
    assert doctor(copied) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    after = everything_in(uri_in(copied))
    assert list(after) == list(after | before), "the same runs"
    if damage is without_end:
        assert {run["status"] for run in after.values()} == {"KILLED", "FINISHED"}
        [sweep] = [run for run in after.values() if run["tags"]["kind"] == "sweep"]
        assert sweep["status"] == "KILLED"
    else:
        assert after == before


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (lambda run: flipped(run / FINAL_WEIGHTS), "is damaged (its SHA-256 is not that in"),
    "a file": (lambda run: (run / FINAL_WEIGHTS).unlink(), "is missing"),
    "a line": (lambda run: cut_in_the_middle(run / JOURNAL), "1 of "),
    "the beginning": (lambda run: (run / JOURNAL).write_text(""), "has no beginning"),
}


def cut_in_the_middle(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:5], lines[5][:30] + b"\n", *lines[6:]]))


@pytest.mark.parametrize("name", DAMAGES)
def test_what_cannot_be_mended_is_told(
    copied: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, said = DAMAGES[name]
    damage(run_of(copied))
    assert doctor(copied, "--fix") == 1
    out = capsys.readouterr().out
    assert said in out
    assert "1 left" in out


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "garbage": (lambda path: path.write_bytes(b"x" * 10_000), "cannot be used as MLflow's"),
    "zeroed": (lambda path: zeroed(path), "database"),
}


def zeroed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096 : 64 * 4096] = bytes(63 * 4096)
    path.write_bytes(content)


@pytest.mark.parametrize("name", BROKEN)
def test_a_database_that_cannot_be_read_is_told_in_a_line(
    copied: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, said = BROKEN[name]
    for path in (copied / "results").glob("mlflow.db-*"):
        path.unlink()
    damage(copied / "results/mlflow.db")
    assert doctor(copied, "--fix") == 1
    found = capsys.readouterr()
    assert said in found.out
    assert "move it away" in found.out
    assert "Traceback" not in found.out + found.err


def test_a_file_of_somebody_else_is_never_removed(copied: Path) -> None:
    """Also where its name is like that of a temporary file or of a lock."""
    run, results = run_of(copied), copied / "results"
    mine = [run / "video.partial", run / "thesis/.a.partial", results / ".notes.partial"]
    mine += [results / "parent.lock", results / "thesis/mlflow.db.lock"]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
        os.utime(path, (0, 0))
    assert doctor(copied, "--fix") == 1, "the locks are told"
    assert [path.read_text() for path in mine] == ["mine"] * 5


def test_a_run_that_trains_is_left_alone(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with program.running(copied, "trainer.epochs=1000000", *TINY[:1]) as process:
        program.wait_until(program.trains(copied), process)
        capsys.readouterr()
        assert doctor(copied, "--fix") == 0, capsys.readouterr().out
        assert process.poll() is None


def test_a_folder_without_runs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(tmp_path) == 2
    assert capsys.readouterr().err.count("\n") == 1
