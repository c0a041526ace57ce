"""MLflow's store: where it is, whether it can be used, and a client of it.

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
    """The URI of the store that is `named` by `key`, or else by the environment, or else of
    `results/mlflow.db`; one of a file is absolute. Raises `ConfigError` for one that cannot work.
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
    """Import MLflow, once and for all, without what it would do and say of its own accord."""
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
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # narrates its migrations
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # repeats what the caller is told anyway


_connections: list[sqlite3.Connection] = []


def _connected(connection: object, _: object) -> None:
    """With a write-ahead log, SQLite need not wait for the disk at each commit: a power failure may
    then take the last ones back, which the journals still have, but never harms the database."""
    if isinstance(connection, sqlite3.Connection):
        _connections.append(connection)
        [(mode,)] = connection.execute("PRAGMA journal_mode")
        if mode == "wal":
            connection.execute("PRAGMA synchronous=NORMAL")


def leave() -> NoReturn:
    """End the process, its databases closed, without tidying up after MLflow: 0.7 s of nothing."""
    for connection in _connections:
        connection.close()
    os._exit(0)


@cache
def client(uri: str) -> Any:
    """An `MlflowClient`. A new SQLite database is made by one process at a time, and whole or not
    at all: MLflow never mends one whose migrations were cut short."""
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
    """Make the database if it is not there, and see that it can be written.

    MLflow writes where its experiment "Default" keeps files into an SQL statement of its own, which
    a name with two kinds of quotes breaks: said as a URI, it has none."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        made = not path.exists()
        if made:
            artifacts = path.parent.resolve() / "artifacts"
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".mlflow-") as place:
                partial = Path(place, path.name)
                SqlAlchemyStore(f"{SQLITE}{partial}", artifacts.as_uri())
                _put_in_place(partial, path)
        with closing(sqlite3.connect(path, timeout=20.0)) as connection:
            if made:  # readers then do not lock out a writer
                connection.execute("PRAGMA journal_mode=WAL")
            _check_writable(connection)


def _put_in_place(made: Path, path: Path) -> None:
    """Never over a database that MLflow itself has made there meanwhile, as a rename would."""
    try:
        os.link(made, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        made.rename(path)


def _check_writable(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.rollback()


@cache
def say_unused(experiment: str | None) -> None:
    """Say once which of MLflow's variables have no say here; `experiment` is one that was named."""
    for line in unused_variables(experiment):
        log.warning("%s", line)


@cache
def check_store(uri: str, experiment: str) -> None:
    """Refuse what can be seen to be wrong without MLflow, whose import takes seconds: a database
    that cannot be written, or an experiment in it that was deleted. Raises `ConfigError`."""
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
            with suppress(sqlite3.OperationalError):  # MLflow keeps its tables otherwise by now
                query = (
                    "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = ?"
                )
                found = connection.execute(query, (experiment, "deleted")).fetchone()
                if found is not None:
                    raise _deleted(experiment, found[0])


def _deleted(experiment: str, number: object) -> ConfigError:
    return ConfigError(
        f"tracking.experiment={experiment}: this experiment was deleted in MLflow; restore it with "
        f"`mlflow experiments restore -x {number}` or name another."
    )


def experiment_id(mlflow: Any, name: str, results: Path, note: str = "") -> str:
    """The id of the experiment `name`, made if it is not there; safe against parallel makers."""
    from mlflow.exceptions import MlflowException

    found = mlflow.get_experiment_by_name(name)
    if found is None:
        remote = "://" in mlflow.tracking_uri and not mlflow.tracking_uri.startswith("sqlite")
        place = None if remote else (results / "artifacts" / _folder(name)).resolve().as_uri()
        tags = mlflow_view.tag() | {
            NOTE: note,
            "mlflow.experimentKind": "custom_model_development",
        }
        try:
            return mlflow.create_experiment(name, artifact_location=place, tags=tags)
        except MlflowException as error:
            found = mlflow.get_experiment_by_name(name)
            if found is None:
                raise error
    if found.lifecycle_stage == "deleted":
        raise _deleted(name, found.experiment_id)
    return found.experiment_id


def _folder(name: str) -> str:
    """Of an experiment's artifacts: a file system takes 255 bytes, MLflow 500 characters."""
    folder = re.sub(r"[^\w.-]+|^\.+", "_", name)
    if len(folder.encode()) <= 200:
        return folder
    return f"{folder[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
