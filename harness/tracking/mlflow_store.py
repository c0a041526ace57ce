"""MLflow's store: its URI, whether it can be used, and a client for it.

MLflow is imported late. Its client gets the passwords that the environment has; a URI that is
returned, shown or written down has none.
"""

import importlib
import logging
import os
import sqlite3
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from harness.config.tracking_store import (
    SQLITE,
    URI,
    absolute,
    check_uri,
    database_of,
    from_environment,
    unused_variables,
    with_secrets,
    without_secrets,
)
from harness.core.errors import ConfigError
from harness.system.garbage import not_collected
from harness.system.signals import deferred
from harness.tracking import sqlite_database
from harness.tracking.destination import Destination

log = logging.getLogger(__name__)

NOTE = "mlflow.note.content"  # the description, in Markdown


def destination_in(named: str | None, results: Path) -> Destination:
    """Return where runs of the folder `results` are tracked; see `tracking_uri`."""
    return Destination(tracking_uri(named, results), results.resolve() / "artifacts")


def tracking_uri(named: str | None, results: Path, key: str = "tracking.uri") -> str:
    """Return the URI of the store: `named`, or the environment's, or that of `results/mlflow.db`.

    `key` is the setting that gave `named`. A file's URI is absolute, and none has a password.
    Raises `ConfigError` for a store that cannot work.
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
        return without_secrets(absolute(uri))
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
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    # An import that is cut short leaves half a module behind.
    with deferred(), not_collected():
        importlib.import_module("mlflow.tracking")
        from sqlalchemy import event
        from sqlalchemy.engine import Engine
        from sqlalchemy.pool import Pool

    event.listen(Engine, "do_connect", _check_not_absent)
    event.listen(Engine, "connect", _connected)
    event.listen(Pool, "checkout", _check_not_replaced)
    # It logs each migration, and the traceback of each exception that its caller gets, too.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # repeats the caller's exceptions


Place = tuple[str, tuple[int, int] | None]  # the path of a database, and the file itself
_connections: list[tuple[sqlite3.Connection, Place]] = []
PLACE = "harness.place"  # of a connection


def _check_not_absent(_dialect: Any, _record: Any, arguments: Any, _options: Any) -> None:
    """Let SQLite make no empty file where a database was deleted."""
    path = arguments[0] if arguments else None
    if isinstance(path, str) and path.startswith("/") and not os.path.exists(path):
        raise sqlite3.OperationalError(f"{path} is gone")


def _check_not_replaced(_connection: object, record: Any, _proxy: object) -> None:
    """Give up a connection whose database was deleted, in favour of one to the file there now.

    What it writes would be lost. One to an empty file would even delete the write-ahead log of the
    database that has taken its place.
    """
    from sqlalchemy.exc import DisconnectionError

    path, file = record.info.get(PLACE, ("", None))
    if path and file != _file(path):
        raise DisconnectionError(f"{path} was replaced")


def _file(path: str) -> tuple[int, int] | None:
    """Return what tells a file from another one that takes its name; None if it is gone."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _connected(connection: object, record: Any) -> None:
    """Let SQLite not wait for the disk at each commit where it has a write-ahead log.

    A power failure may then undo the last commits, which are still in the journals, but it cannot
    damage the database.
    """
    if isinstance(connection, sqlite3.Connection):
        path = connection.execute("PRAGMA database_list").fetchone()[2]
        record.info[PLACE] = path, _file(path)
        _connections.append((connection, record.info[PLACE]))
        [(mode,)] = connection.execute("PRAGMA journal_mode")
        if mode == "wal":
            connection.execute("PRAGMA synchronous=NORMAL")


def file_store(client: Any, run: Any) -> Any:
    """Return MLflow's store of a run's files; the client would ask for the run once more."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(run.info.artifact_uri, tracking_uri=client.tracking_uri)


def gather_statistics() -> None:
    """Let SQLite plan searches by what its databases hold now; to be called after writing."""
    for connection, (path, file) in _connections:
        if file is not None and file == _file(path):
            sqlite_database.gather_statistics(connection)


def leave() -> NoReturn:
    """Close the databases and end the process without Python's clean-up, which takes 0.7 s."""
    gather_statistics()
    for connection, _ in _connections:
        connection.close()
    os._exit(0)


def client(uri: str) -> Any:
    """Return an `MlflowClient`, after the creation of an SQLite database that is not there.

    The database may have been deleted since the last call. Raises `ConfigError` if it cannot be
    used.
    """
    load_mlflow()
    database = database_of(uri)
    if database is not None:
        with sqlite_database.usable(database):
            if sqlite_database.is_absent(database):
                _client.cache_clear()
    _forget_places_of_files(uri)
    return _client(uri)


_last_uri = [""]


def _forget_places_of_files(uri: str) -> None:
    """Have MLflow ask a store where a run's files are, and not remember another store's answer.

    It remembers them by the run's id, which a copied database has, too.
    """
    if uri != _last_uri[0]:
        from mlflow.tracking._tracking_service import utils

        places: dict[str, Any] = vars(utils)["_artifact_repos_cache"]  # there is no public way
        places.clear()
        _last_uri[0] = uri


@cache
def _client(uri: str) -> Any:
    from mlflow import MlflowClient

    database = database_of(uri)
    if database is not None:
        with sqlite_database.usable(database), deferred():
            sqlite_database.prepare(database)
    with not_collected():  # it imports what that kind of store needs
        return MlflowClient(tracking_uri=with_secrets(uri))


@cache
def say_unused(experiment: str | None) -> None:
    """Warn once of each of MLflow's variables that is set and not used.

    `experiment` is the one that was named, or None.
    """
    for line in unused_variables(experiment):
        log.warning("%s", line)


@cache
def check_store(uri: str, experiment: str) -> None:
    """Raise `ConfigError` for a database that cannot be written, or a deleted experiment in it."""
    database = database_of(uri)
    if database is not None:
        sqlite_database.check(database)
        number = sqlite_database.deleted_experiment(database, experiment)
        if number is not None:
            raise deleted(experiment, number)


def deleted(experiment: str, number: object) -> ConfigError:
    """Return the exception for an experiment that was deleted in MLflow."""
    return ConfigError(
        f"tracking.experiment={experiment}: this experiment was deleted in MLflow; restore it with "
        f"`mlflow experiments restore -x {number}` or name another."
    )
