"""The store: its URI, and experiments that are made once, whoever makes them."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from harness.core.errors import ConfigError
from harness.tracking.mlflow_experiments import experiment_id
from harness.tracking.mlflow_store import tracking_uri
from harness.tracking.sqlite_database import check, check_writable, prepare
from tests.support import program
from tests.support.program import uses_mlflow

pytestmark = uses_mlflow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a name as users have them, and an empty database."""
    return program.with_database(tmp_path / "my wörk")


def test_a_deleted_experiment_is_refused_by_name(folder: Path) -> None:
    client = program.mlflow(folder)
    number = experiment_id(client, "gone", folder / "results")
    client.delete_experiment(number)
    with pytest.raises(ConfigError) as error:
        experiment_id(client, "gone", folder / "results")
    message = str(error.value)
    assert "tracking.experiment=gone" in message
    assert f"mlflow experiments restore -x {number}" in message
    assert "\n" not in message


def test_an_experiment_is_made_once(folder: Path) -> None:
    client, results = program.mlflow(folder), folder / "results"
    assert experiment_id(client, "one", results) == experiment_id(client, "one", results)
    assert experiment_id(client, "two", results) != experiment_id(client, "one", results)


def test_one_that_is_made_by_another_in_between_is_used(folder: Path) -> None:
    """What happens when two processes both find no experiment and both make it."""
    client, results = program.mlflow(folder), folder / "results"

    class Slow:
        def __getattr__(self, name: str) -> Any:
            if name == "create_experiment":
                client.create_experiment("sum")  # the other process is faster
            return getattr(client, name)

    found = experiment_id(Slow(), "sum", results)
    assert found == client.get_experiment_by_name("sum").experiment_id


@pytest.mark.parametrize("leaves_empty_file", [False, True])
def test_a_database_that_was_deleted_is_made_anew(folder: Path, leaves_empty_file: bool) -> None:
    """Also beside the write-ahead log of the old one, and where SQLite has made an empty file."""
    client, database = program.mlflow(folder), folder / "results/mlflow.db"
    client.search_experiments()
    database.unlink()
    with pytest.raises(MlflowException, match="is gone"):  # and not an empty file in its place
        client.search_experiments()
    assert not database.exists()
    Path(f"{database}-wal").write_bytes(b"of a database that is gone")
    if leaves_empty_file:
        database.touch()
    check(database)
    prepare(database)
    assert not Path(f"{database}-wal").exists()
    [aside] = database.parent.glob("mlflow.db.*-wal")
    assert aside.read_bytes() == b"of a database that is gone", "it may be all that is left of it"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_database_that_is_read_only_is_noticed(folder: Path) -> None:
    """Root may write whatever the permissions are, so it is opened as one that is read-only."""
    name = f"{(folder / 'results/mlflow.db').as_uri()}?mode=ro"
    refused = pytest.raises(sqlite3.OperationalError, match="readonly database")
    with closing(sqlite3.connect(name, uri=True)) as connection, refused:
        check_writable(connection)


def test_another_database_can_be_named(tmp_path: Path) -> None:
    assert tracking_uri("http://example:5000", tmp_path) == "http://example:5000"
    assert tracking_uri(None, tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"


def test_two_programs_at_once_make_one_database_and_one_experiment(tmp_path: Path) -> None:
    arguments = ("trainer.epochs=2", "tracking.experiment=together")
    both = [program.start(tmp_path, *arguments, f"seed={seed}") for seed in (0, 1)]
    done = [program.finish(process) for process in both]
    assert [(d.code, d.err) for d in done] == [(0, "")] * 2
    client = program.mlflow(tmp_path)
    number = client.get_experiment_by_name("together").experiment_id
    runs = program.tracked(tmp_path)
    assert [run.info.experiment_id for run in runs] == [number] * 2, "and none in Default"
    assert {run.data.params["seed"] for run in runs} == {"0", "1"}
    for run in runs:
        assert run.info.status == "FINISHED"
        steps = [step for step, _ in program.history(tmp_path, run.info.run_id, "train/loss")]
        assert steps == [1, 2]
