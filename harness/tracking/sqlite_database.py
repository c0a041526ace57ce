"""MLflow's SQLite database: whether it can be used, its creation, and its move to another folder.

Its checks do without MLflow, whose import takes seconds.
"""

import importlib.util
import os
import sqlite3
import tempfile
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from filelock import FileLock

from harness.config.tracking_store import SQLITE
from harness.core.errors import ConfigError, first_line

WAIT = 20.0  # seconds for which another process's writing is waited for


@contextmanager
def usable(path: Path) -> Generator[None]:
    """Turn the errors of a database that cannot be used into one line, a `ConfigError`."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"{path}: cannot be used as MLflow's database ({first_line(error)}); {_remedy(error)}"
        ) from error


def _remedy(error: OSError | sqlite3.Error) -> str:
    choose = "choose another with results=FOLDER or tracking.uri=…"
    text = str(error)
    if "malformed" in text or "not a database" in text:
        return (
            "move it away, then `python -m harness.sync` makes it anew from the journals, or "
            + choose
        )
    return f"make room on the disk, or {choose}" if "full" in text else choose


def is_locked(error: BaseException) -> bool:
    """Return whether another process writes to the database for longer than was waited."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def is_absent(path: Path) -> bool:
    """Return whether there is no database; SQLite creates an empty file where one was deleted."""
    return not path.exists() or path.stat().st_size == 0


def check(path: Path) -> None:
    """Raise `ConfigError` for a database that can never be written.

    One that is locked by another process is no obstacle: it is written later.
    """
    with usable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{path}.lock").touch()
        if is_absent(path):
            return
        with closing(sqlite3.connect(path, timeout=1.0)) as connection:
            try:
                check_writable(connection)
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
            _check_schema(path, connection)


def _check_schema(path: Path, connection: sqlite3.Connection) -> None:
    """Raise `ConfigError` for the tables of another version of MLflow."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if is_locked(error):
            return
        raise ConfigError(
            f"{path}: is not MLflow's database ({first_line(error)}); choose another with "
            "results=FOLDER or tracking.uri=…"
        ) from error
    revisions = _revisions()
    if row is not None and revisions and row[0] not in revisions:
        raise ConfigError(
            f"{path}: was made by a newer version of MLflow (its tables are of revision {row[0]}, "
            "which this one does not know); install that version, or choose another with "
            "results=FOLDER or tracking.uri=…"
        )


@cache
def _revisions() -> set[str]:
    """Return the revisions of tables that the installed MLflow knows, without importing it."""
    found = importlib.util.find_spec("mlflow")
    if found is None or found.origin is None:
        return set()
    files = Path(found.origin).parent.glob("store/db_migrations/versions/*.py")
    return {file.name.partition("_")[0] for file in files}


def deleted_experiment(path: Path, name: str) -> str | None:
    """Return the id of the experiment `name` if it was deleted, or None."""
    query = "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'deleted'"
    # Another version of MLflow may have other tables, and another process may write.
    with suppress(sqlite3.OperationalError):
        if path.exists():
            with closing(sqlite3.connect(path, timeout=1.0)) as connection:
                row = connection.execute(query, (name,)).fetchone()
                return None if row is None else str(row[0])
    return None


def has_run(path: Path, run_id: str) -> bool:
    """Return whether the database has a run; MLflow would take 10 ms to tell."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1.0)) as connection:
        query = "SELECT 1 FROM runs WHERE run_uuid = ?"
        return connection.execute(query, (run_id,)).fetchone() is not None
    return False


def gather_statistics(connection: sqlite3.Connection) -> None:
    """Let SQLite count what its tables hold, for the plans of searches.

    Without that it sorts runs by a metric in quadratic time: 11 s for 10,000 runs instead of 0.1 s.
    Where another process writes just now, nothing is done: it does the same at its end.
    """
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("PRAGMA analysis_limit=400")  # rows of an index: 10 ms at any size
        connection.execute("ANALYZE")


def prepare(path: Path) -> None:
    """Create the database if it is not there, and check that it can be written.

    One process at a time creates it, by an atomic rename, since MLflow never repairs a database
    whose migrations were interrupted. If its folder was moved, the places of artifacts in it are
    corrected.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        is_new = is_absent(path)
        if is_new:
            _create(path)
        with closing(sqlite3.connect(path, timeout=WAIT)) as connection:
            if is_new:  # with a write-ahead log readers do not block a writer
                connection.execute("PRAGMA journal_mode=WAL")
            check_writable(connection)
            _correct_places(connection, path.parent.resolve() / "artifacts")


def _create(path: Path) -> None:
    """Create the database.

    MLflow puts the folder of its experiment "Default" unescaped into an SQL statement, which a name
    with both kinds of quotes would break; a URI has no quotes.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    artifacts = path.parent.resolve() / "artifacts"
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as place:
        partial = Path(place, path.name)
        partial.touch()
        store = SqlAlchemyStore(f"{SQLITE}{partial}", artifacts.as_uri())
        store.engine.dispose()
        _put_in_place(partial, path)


def _put_in_place(new: Path, path: Path) -> None:
    """Move the database to `path`, but not over one that MLflow has created there meanwhile.

    The write-ahead log of a database that is gone would be applied to the new one. It may hold what
    its owner has nowhere else, so it is moved aside, as is an empty file in the database's place.
    """
    if is_absent(path):
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for ending in ("", "-wal", "-shm"):
            old = Path(f"{path}{ending}")
            if old.exists():
                old.rename(f"{path}.{stamp}{ending}")
    try:
        os.link(new, path)  # a rename would replace it
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        new.rename(path)


def check_writable(connection: sqlite3.Connection) -> None:
    """Raise `sqlite3.Error` if nothing can be written; SQLite begins to write a read-only file."""
    connection.execute("BEGIN IMMEDIATE")
    [(version,)] = connection.execute("PRAGMA user_version")
    connection.execute(f"PRAGMA user_version={version}")
    connection.rollback()


def _correct_places(connection: sqlite3.Connection, artifacts: Path) -> None:
    """Correct the places of artifacts in a database that was moved together with them.

    MLflow stores them as absolute URIs. That of the experiment "Default" says where the database
    was made.
    """
    query = "SELECT artifact_location FROM experiments WHERE experiment_id = 0"
    row = connection.execute(query).fetchone()
    old, new = "" if row is None else str(row[0]).removesuffix("/0"), artifacts.as_uri()
    if old == new or not old.endswith("/artifacts") or not artifacts.is_dir():
        return
    with connection:
        for table, column in (("experiments", "artifact_location"), ("runs", "artifact_uri")):
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
            )
