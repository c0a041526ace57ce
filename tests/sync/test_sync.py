"""`harness sync` makes of the journals what MLflow had of them, whatever became of MLflow."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.core.file_names import JOURNAL, SENT
from harness.sync.__main__ import main
from harness.tracking import mlflow_store, sent
from harness.tracking.follower import Follower
from tests.support import ROOT, program
from tests.support.program import uses_mlflow
from tests.support.store_contents import everything_in, uri_in

pytestmark = uses_mlflow

TINY = ("task.samples=40", "trainer.epochs=2", "model.units=4")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run, a run without MLflow and a sweep one of whose jobs fails; what MLflow has of them."""
    folder = program.with_database(tmp_path_factory.mktemp("recorded"))
    for arguments, code in (
        (("tracking.model=true", "tracking.flavors=[keras]"), 0),
        (("tracking=journal",), 0),
        (("-m", "seed=0,1", "optimizer.lr=0.01,1e30"), 1),
    ):
        done = program.run(folder, *arguments, *TINY)
        assert done.code == code, done.err
    return folder, everything_in(uri_in(folder))


@pytest.fixture
def copied(recorded: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """The results in another folder, in which everything may be broken."""
    shutil.copytree(recorded[0] / "results", tmp_path / "my wörk/results")
    return tmp_path / "my wörk"


def sync(folder: Path, *arguments: str) -> int:
    return main([*arguments, "--results", str(folder / "results")])


def remove_database(folder: Path) -> None:
    for path in (folder / "results").glob("mlflow.db*"):
        path.unlink()


def empty_database(folder: Path) -> None:
    """Like `remove_database`, without the seconds that the making of a new one takes."""
    remove_database(folder)
    (folder / "results/mlflow.db").write_bytes(program.empty_database())


def test_the_store_has_what_is_expected(recorded: tuple[Path, dict[str, Any]]) -> None:
    runs = recorded[1].values()
    assert sorted(run["status"] for run in runs) == ["FAILED"] * 3 + ["FINISHED"] * 3
    [parent] = [name for name, run in recorded[1].items() if run["tags"]["kind"] == "sweep"]
    assert [run["parent"] for run in runs].count(parent) == 4
    [model] = [model for run in runs for model in run["models"]]
    assert model["metrics"]
    assert {"serve.py", "data/model.keras"} <= {path for path, _ in model["files"]}
    assert all(run["metrics"] for run in runs if run["tags"]["kind"] == "run")


def test_a_deleted_database_is_made_anew_and_equal(
    recorded: tuple[Path, dict[str, Any]], copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remove_database(copied)
    shutil.rmtree(copied / "results/artifacts")
    assert sync(copied) == 0
    assert "sent      5 runs, 1 sweep, " in capsys.readouterr().out
    assert everything_in(uri_in(copied)) == recorded[1]


def test_a_second_time_nothing_is_sent(
    recorded: tuple[Path, dict[str, Any]], copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sync(copied) == 0
    said = capsys.readouterr().out
    assert "sent      nothing: MLflow has all of it" in said
    assert "complete  5 runs and 1 sweep before" in said
    assert "skipped   1 run with tracking=journal" in said
    assert everything_in(uri_in(copied)) == recorded[1]


def test_without_its_notes_it_finds_the_runs_again(
    recorded: tuple[Path, dict[str, Any]], copied: Path
) -> None:
    for path in copied.rglob(SENT):
        path.unlink()
    assert sync(copied) == 0
    assert everything_in(uri_in(copied)) == recorded[1]


def test_an_older_copy_of_the_database_gets_the_rest(
    recorded: tuple[Path, dict[str, Any]], copied: Path
) -> None:
    with closing(sqlite3.connect(copied / "results/mlflow.db")) as connection, connection:
        connection.execute("DELETE FROM metrics WHERE step > 1")
        connection.execute("DELETE FROM latest_metrics WHERE step > 1")
        connection.execute("UPDATE tags SET value = '400' WHERE key = 'journal.bytes'")
        connection.execute("UPDATE runs SET status = 'RUNNING', end_time = NULL")
    assert sync(copied) == 0
    assert everything_in(uri_in(copied)) == recorded[1]


def test_two_at_once_do_it_once(recorded: tuple[Path, dict[str, Any]], copied: Path) -> None:
    empty_database(copied)
    shutil.rmtree(copied / "results/artifacts")
    command = [sys.executable, "-m", "harness.sync", str(copied / "results")]
    both = [subprocess.Popen(command, cwd=ROOT, text=True) for _ in range(2)]
    assert [process.wait(timeout=program.PATIENCE) for process in both] == [0, 0]
    assert everything_in(uri_in(copied)) == recorded[1]


def test_a_job_makes_its_sweep_anew_where_the_database_has_gone(copied: Path) -> None:
    """The follower of a new job is told that nobody has sent it, which is not true of its sweep."""
    [sweep] = [path.parent for path in copied.glob(f"results/multirun/*/{JOURNAL}")]
    first_job, second_job = sorted(path.parent for path in sweep.glob(f"*/{JOURNAL}"))[:2]
    empty_database(copied)
    for path in sweep.rglob(SENT):
        path.unlink()
    place = sent.destination(sweep)
    assert place is not None
    Follower(first_job, place, is_new=True).advance()
    empty_database(copied)
    Follower(second_job, place, is_new=True).advance()
    runs = {run.info.run_id: run for run in program.tracked(copied)}
    [job] = [run for run in runs.values() if run.data.tags["kind"] == "run"]
    assert runs[job.data.tags["mlflow.parentRunId"]].data.tags["kind"] == "sweep"


def test_another_store_gets_a_copy(
    recorded: tuple[Path, dict[str, Any]], copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri = f"sqlite:///{copied}/elsewhere/copy.db"
    assert sync(copied, "--uri", uri) == 0
    said = capsys.readouterr().out
    assert "skipped" not in said
    both = everything_in(uri)
    untracked = [run for name, run in both.items() if name not in recorded[1]]
    assert [run["status"] for run in untracked] == ["FINISHED"], "of tracking=journal, too"
    assert {name: run for name, run in both.items() if name in recorded[1]} == recorded[1]
    assert (copied / "elsewhere/artifacts").is_dir()
    assert everything_in(uri_in(copied)) == recorded[1], "the first is as before"


def test_results_that_were_moved_go_on(recorded: tuple[Path, dict[str, Any]], copied: Path) -> None:
    """Files are read from, and new ones written to, the new folder."""
    done = program.run(copied, *TINY, "seed=7")
    assert done.code == 0, done.err
    mlflow = mlflow_store.client(uri_in(copied))
    for run in program.tracked(copied):
        assert run.info.artifact_uri.startswith((copied / "results").as_uri())
        if run.data.tags["kind"] == "run":
            assert Path(mlflow.download_artifacts(run.info.run_id, JOURNAL)).stat().st_size
    found = everything_in(uri_in(copied))
    assert {name: run for name, run in found.items() if name in recorded[1]} == recorded[1]
    assert len(found) == len(recorded[1]) + 1


def test_a_run_that_was_killed_gets_its_end(copied: Path) -> None:
    [directory] = [d for d in copied.glob("results/runs/*") if sent.destination(d) is not None]
    lines = (directory / JOURNAL).read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["kind"] == "end"
    (directory / JOURNAL).write_bytes(b"".join(lines[:-3]) + lines[-3][:20])
    empty_database(copied)
    assert sync(copied, str(directory)) == 0
    [run] = program.tracked(copied)
    assert run.info.status == "KILLED"
    assert program.history(copied, run.info.run_id, "train/loss")


def test_a_damaged_journal_holds_back_no_other(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = sorted(copied.glob("results/multirun/*/0"))[0]
    text = (damaged / JOURNAL).read_text().replace('"format": 2', '"format": 99')
    (damaged / JOURNAL).write_text(text)
    empty_database(copied)
    assert sync(copied) == 1
    said = capsys.readouterr().err
    assert "format=99: this version reads format 2" in said
    assert len(said.splitlines()) <= 2, "of the job and of its sweep"
    assert len(program.tracked(copied)) >= 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "nowhere: there is no such directory"),
        (("--uri", "ftp://x"), "--uri=ftp://x: MLflow has no such store"),
        (("--uri", "http://me:secret@host"), "MLFLOW_TRACKING_PASSWORD"),
        (("--fix",), "--fix: no such option"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    copied: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sync(copied, *arguments) == 2
    line = capsys.readouterr().err
    assert said in line
    assert "secret" not in line
    assert line.count("\n") == 1
