"""MLflow's store: its URI, whether it can be used, and a client for it.

This file and `harness/tracking/mlflow_writer.py` are the only ones that import mlflow, and do so
late. Experiments are created by name, never "set", because MLflow's fluent `set_experiment` lets a
parallel first run fall into "Default".
"""

import hashlib
import importlib
import logging
import os
import re
import sqlite3
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from filelock import FileLock

from harness.config.tracking_store import (
    SQLITE,
    URI,
    absolute,
    check_uri,
    from_environment,
    unused_variables,
)
from harness.core.errors import ConfigError, first_line
from harness.system.signals import deferred
from harness.tracking import mlflow_view

log = logging.getLogger(__name__)

NOTE = "mlflow.note.content"  # the description, in Markdown


def tracking_uri(named: str | None, results: Path, key: str = "tracking.uri") -> str:
    """Return the URI of the store: `named`, or the environment's, or that of `results/mlflow.db`.

    `key` is the setting that gave `named`. A file's URI is absolute. Raises `ConfigError` for a
    store that cannot work.
    """
    folder = str(results.resolve())
    if not _is_text(folder):
        raise ConfigError(
            f"results={folder}: MLflow cannot keep files in a folder whose name is not in UTF-8; "
            "choose another, or tracking=journal."
        )
    uri = from_environment(URI) if named is None else named
    if uri is not None:
        check_uri(URI if named is None else key, uri)
        return absolute(uri)
    if set(folder) & set("?%#"):
        raise ConfigError(
            f"results={folder}: MLflow cannot keep its database in a folder with ?, % or # in its "
            "name; choose another, or tracking=journal."
        )
    return f"{SQLITE}{folder}/mlflow.db"


def _is_text(path: str) -> bool:
    try:
        return bool(os.fsencode(path).decode("utf-8"))
    except UnicodeDecodeError:
        return False


@cache
def load_mlflow() -> None:
    """Import MLflow once, without its telemetry, hints, progress bars and long retries."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_DISABLE_AGENT_HINT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    with deferred():  # an import that is cut short leaves half a module behind
        importlib.import_module("mlflow.tracking")
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _connected)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # logs each migration
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # repeats the caller's exceptions


_connections: list[sqlite3.Connection] = []


def _connected(connection: object, _: object) -> None:
    """Let SQLite not wait for the disk at each commit where it has a write-ahead log.

    A power failure may then undo the last commits, which are still in the journals, but it cannot
    damage the database.
    """
    if isinstance(connection, sqlite3.Connection):
        _connections.append(connection)
        [(mode,)] = connection.execute("PRAGMA journal_mode")
        if mode == "wal":
            connection.execute("PRAGMA synchronous=NORMAL")


def leave() -> NoReturn:
    """Close the databases and end the process without Python's clean-up, which takes 0.7 s."""
    for connection in _connections:
        connection.close()
    os._exit(0)


@cache
def client(uri: str) -> Any:
    """Return an `MlflowClient`, after the creation of an SQLite database that is not there yet.

    One process at a time creates it, by an atomic rename, since MLflow never repairs a database
    whose migrations were interrupted. Raises `ConfigError` if it cannot be used.
    """
    load_mlflow()
    from mlflow import MlflowClient

    if uri.startswith(SQLITE):
        path = Path(uri.removeprefix(SQLITE))
        with _usable(path), deferred():
            _prepare_database(path)
    return MlflowClient(tracking_uri=uri)


@contextmanager
def _usable(path: Path) -> Generator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"{path}: cannot be used as MLflow's database ({first_line(error)}); choose another "
            "with results=FOLDER or tracking.uri=…"
        ) from error


def _prepare_database(path: Path) -> None:
    """Create the database if it is not there, and check that it can be written.

    MLflow puts the folder of its experiment "Default" unescaped into an SQL statement, which a name
    with both kinds of quotes would break; a URI has no quotes.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        is_new = not path.exists()
        if is_new:
            artifacts = path.parent.resolve() / "artifacts"
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as place:
                partial = Path(place, path.name)
                SqlAlchemyStore(f"{SQLITE}{partial}", artifacts.as_uri())
                _put_in_place(partial, path)
        with closing(sqlite3.connect(path, timeout=20.0)) as connection:
            if is_new:  # with a write-ahead log readers do not block a writer
                connection.execute("PRAGMA journal_mode=WAL")
            _check_writable(connection)


def _put_in_place(new: Path, path: Path) -> None:
    """Move the database to `path`, but not over one that MLflow has created there meanwhile."""
    try:
        os.link(new, path)  # a rename would replace it
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        new.rename(path)


def _check_writable(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.rollback()


@cache
def say_unused(experiment: str | None) -> None:
    """Warn once of each of MLflow's variables that is set and not used.

    `experiment` is the one that was named, or None.
    """
    for line in unused_variables(experiment):
        log.warning("%s", line)


@cache
def check_store(uri: str, experiment: str) -> None:
    """Raise `ConfigError` for a database that cannot be written, or a deleted experiment in it.

    This check does without MLflow, whose import takes seconds.
    """
    if not uri.startswith(SQLITE):
        return
    path = Path(uri.removeprefix(SQLITE))
    with _usable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{path}.lock").touch()
        if not path.exists():
            return
        with closing(sqlite3.connect(path, timeout=20.0)) as connection:
            _check_writable(connection)
            with suppress(sqlite3.OperationalError):  # another version of MLflow has other tables
                query = (
                    "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = ?"
                )
                row = connection.execute(query, (experiment, "deleted")).fetchone()
                if row is not None:
                    raise _deleted(experiment, row[0])


def _deleted(experiment: str, number: object) -> ConfigError:
    return ConfigError(
        f"tracking.experiment={experiment}: this experiment was deleted in MLflow; restore it with "
        f"`mlflow experiments restore -x {number}` or name another."
    )


def experiment_id(mlflow: Any, name: str, results: Path, note: str = "") -> str:
    """Return the id of the experiment `name`, which is created if it is not there.

    Several processes may do so at once. Raises `ConfigError` for a deleted experiment.
    """
    from mlflow.exceptions import MlflowException

    experiment = mlflow.get_experiment_by_name(name)
    if experiment is None:
        remote = "://" in mlflow.tracking_uri and not mlflow.tracking_uri.startswith("sqlite")
        place = None if remote else (results / "artifacts" / _folder(name)).resolve().as_uri()
        tags = mlflow_view.tag() | {
            NOTE: note,
            "mlflow.experimentKind": "custom_model_development",
        }
        try:
            return mlflow.create_experiment(name, artifact_location=place, tags=tags)
        except MlflowException as error:
            experiment = mlflow.get_experiment_by_name(name)
            if experiment is None:
                raise error
    if experiment.lifecycle_stage == "deleted":
        raise _deleted(name, experiment.experiment_id)
    return experiment.experiment_id


def _folder(name: str) -> str:
    """Return the name of the folder of an experiment's artifacts.

    A file system takes 255 bytes, MLflow 500 characters.
    """
    folder = re.sub(r"[^\w.-]+|^\.+", "_", name)
    if len(folder.encode()) <= 200:
        return folder
    return f"{folder[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
