"""`harness sync` to a real server on PostgreSQL, which keeps what SQLite keeps."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import tracking_server
from benchmarks.common.tracking_server import free_port, on_postgresql, open_folder
from benchmarks.store.copies import copies
from benchmarks.store.sizes import connected
from harness.sync.__main__ import main
from harness.sync.send import send
from tests.support import program
from tests.support.program import PATIENCE, uses_mlflow
from tests.support.store_contents import everything_in, uri_in

missing = tracking_server.postgresql_missing()
pytestmark = [
    *uses_mlflow,
    pytest.mark.slow,
    pytest.mark.skipif(missing is not None, reason=str(missing)),
]

TINY = ("task.samples=40", "trainer.epochs=2", "model.units=4")


@dataclass(frozen=True)
class Served:
    """A server on PostgreSQL: its address, and the folder that it keeps all in."""

    uri: str
    folder: Path


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with open_folder() as folder:
        port = free_port()
        with tracking_server.running(on_postgresql(folder, port), port, folder):
            yield Served(f"http://127.0.0.1:{port}", folder)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a model, and a sweep one of whose jobs diverges, tracked in SQLite."""
    folder = program.with_database(tmp_path_factory.mktemp("recorded"))
    for arguments, code in (
        (("tracking.model=true",), 0),
        (("-m", "seed=0,1", "optimizer.lr=0.01,1e30"), 1),
    ):
        done = program.run(folder, *arguments, *TINY)
        assert done.code == code, done.err
    return folder


def test_a_server_on_postgresql_has_what_sqlite_has(recorded: Path, served: Served) -> None:
    assert main(["--results", str(recorded / "results"), "--uri", served.uri]) == 0
    sent = everything_in(served.uri)
    assert len(sent) == 6
    assert sent == everything_in(uri_in(recorded))


def wait_for_a_lock(served: Served) -> None:
    """Poll until somebody waits for another one's transaction."""
    limit = time.monotonic() + PATIENCE
    with closing(connected(served.folder)) as database, database.cursor() as cursor:
        database.autocommit = True
        while True:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            assert time.monotonic() < limit, "nobody waits"
            time.sleep(0.02)


def test_a_data_set_that_another_process_writes_at_the_same_moment(
    recorded: Path, served: Served, tmp_path: Path
) -> None:
    """The other one has written it and not committed; the server waits, and is then refused."""
    run = program.directories(recorded)[0]
    digest = program.events(run, "dataset")[0]["digest"]
    original = shutil.copytree(run, tmp_path / "original", ignore=shutil.ignore_patterns("mlflow*"))
    before, after = copies(original, tmp_path / "copies", 2)
    assert send([before], served.uri, lambda: None).problems == {}
    with closing(connected(served.folder)) as other, other.cursor() as cursor:
        cursor.execute("UPDATE datasets SET digest = 'other' WHERE digest = %s", (digest,))
        other.commit()
        columns = "experiment_id, name, dataset_source_type, dataset_source, dataset_profile"
        cursor.execute(
            f"INSERT INTO datasets (dataset_uuid, digest, {columns}) "
            f"SELECT 'a', %s, {columns} FROM datasets WHERE digest = 'other'",
            (digest,),
        )
        found: list[Any] = []
        sender = threading.Thread(
            target=lambda: found.append(send([after], served.uri, lambda: None))
        )
        sender.start()
        wait_for_a_lock(served)
        other.commit()
        sender.join(PATIENCE)
    [summary] = found
    assert summary.problems == {}
    assert summary.written["runs"] == 1
