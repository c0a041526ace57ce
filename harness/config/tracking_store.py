"""MLflow's store: whose word it is that names it, and whether such a store can work at all.

What can never work is refused before training, and without MLflow, whose import takes seconds. A
server that is down is another thing: it may be there again tomorrow, and the journal waits for it.
"""

import importlib.metadata
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

from harness.core.errors import ConfigError, first_line

URI, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
UNUSED = {  # variables that MLflow itself obeys: what they would name, and what names it here
    "MLFLOW_RUN_ID": "every run here is a run of its own",
    "MLFLOW_EXPERIMENT_ID": f"name the experiment with {EXPERIMENT} or tracking.experiment=NAME",
}
SQLITE = "sqlite:///"
DATABASES = ("postgresql", "mysql", "mssql")
PACKAGES = {"MySQLdb": "mysqlclient", "psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary"}
VALID = "sqlite:////FOLDER/mlflow.db, http://HOST:PORT, https://HOST, databricks, or a database "
VALID += "such as postgresql://USER@HOST/NAME"
LONGEST = 500  # characters of an experiment's name, in MLflow 3.17


def from_environment(name: str) -> str | None:
    """The value of a variable; an empty one counts as unset."""
    return os.environ.get(name, "").strip() or None


def unused_variables(experiment: str | None) -> list[str]:
    """A sentence for each variable of MLflow's that is set and has no say here; that of an
    experiment is overruled, as in MLflow, where an `experiment` was named."""
    names = [name for name in UNUSED if from_environment(name)]
    return [
        f"{name}={from_environment(name)}: is not used; {UNUSED[name]}"
        for name in names
        if name == "MLFLOW_RUN_ID" or experiment is None
    ]


def experiment_in_environment() -> str | None:
    return from_environment(EXPERIMENT)


def check(uri: str | None, experiment: str | None) -> None:
    """Refuse a store or an experiment that cannot work: the named ones, or the environment's."""
    for key, named, variable, refuse in (
        ("tracking.uri", uri, URI, check_uri),
        ("tracking.experiment", experiment, EXPERIMENT, check_experiment),
    ):
        chosen = from_environment(variable) if named is None else named
        if chosen is not None:
            refuse(variable if named is None else key, chosen)


def check_experiment(key: str, name: str) -> None:
    """Refuse a name that MLflow refuses; `key` is what it was given by."""
    if not name.strip():
        raise ConfigError(f"{key}=: must be a name, or null for one experiment per task.")
    shown = name if len(name) <= 40 else f"{name[:40]}…"
    if len(name) > LONGEST:
        raise ConfigError(
            f"{key}={shown}: has {len(name)} characters; MLflow takes at most {LONGEST}."
        )
    if re.search(r"[\0\ud800-\udfff]", name):  # bytes that were no UTF-8, see PEP 383
        raise ConfigError(f"{key}={shown!r}: must be text in UTF-8, without a null character.")


def absolute(uri: str) -> str:
    """The same store, named so that another current directory does not change it."""
    path = uri.removeprefix(SQLITE)
    if not uri.startswith(SQLITE) or path in ("", ":memory:"):
        return uri
    return f"{SQLITE}{Path(path).expanduser().absolute()}"


def settle() -> None:
    """A relative path in the environment is one from where the command was typed, also for jobs
    that run elsewhere. To be called as the program starts."""
    uri = from_environment(URI)
    if uri is not None:
        os.environ[URI] = absolute(uri)


def source_of(uri: str) -> str:
    """A remark on where the name of a store comes from, if it is the environment."""
    named = from_environment(URI)
    return f" (from {URI})" if named is not None and absolute(named) == uri else ""


def without_password(uri: str) -> str:
    """To be shown: what came from the environment may be a secret."""
    return re.sub(r"(://[^:/@]*):[^/@]*@", r"\1:***@", uri)


@cache
def check_uri(key: str, uri: str) -> None:
    """Refuse a store that can never work; `key` is what it was given by."""
    wrong = _wrong(uri)
    if wrong is not None:
        raise ConfigError(f"{key}={without_password(uri)}: {wrong}.")


def _wrong(uri: str) -> str | None:
    """What is wrong with a store, and what would be valid; None if it may work."""
    before, colon, _ = uri.partition(":")
    scheme = before.lower() if colon or uri == "databricks" else ""  # databricks alone is one
    if not uri.strip():
        return f"must be {VALID}; without this, it is the database in the results"
    if re.fullmatch(r"[\w.-]{2,}:\d+(/.*)?", uri, re.ASCII):
        return f"a server's address begins with http:// or https://, as in http://{uri}"
    if scheme == "sqlite":
        return _wrong_file(uri)
    if scheme in ("http", "https"):
        return _wrong_server(uri)
    if scheme == "databricks":
        return _without_databricks()
    if scheme.partition("+")[0] in DATABASES:
        return _wrong_database(uri)
    if scheme in ("", "file") or len(scheme) == 1:  # of Windows, a drive
        if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
            return None
        return f"MLflow keeps no runs in folders any more; must be {VALID}"
    plugins = importlib.metadata.entry_points(group="mlflow.tracking_store")
    if scheme in {each.name for each in plugins}:
        return None
    return f"MLflow has no such store; must be {VALID}"


def _wrong_file(uri: str) -> str | None:
    path = uri.removeprefix(SQLITE)
    if not uri.startswith(SQLITE) or path in ("", ":memory:"):
        return f"must be {SQLITE}PATH, such as {SQLITE}mlflow.db or {SQLITE}/FOLDER/mlflow.db"
    if set(path) & set("?%#"):
        return "MLflow cannot keep its database in a file with ?, % or # in its path"
    return None


def _wrong_server(uri: str) -> str | None:
    try:
        address = urlparse(uri)
        known = bool(address.hostname) and address.port != 0  # raises where it is no number
    except ValueError:
        known = False
    return None if known and not re.search(r"\s", uri) else "must be such as http://127.0.0.1:5000"


def _without_databricks() -> str | None:
    file = Path(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser()
    if file.exists() or any(name.startswith("DATABRICKS_") for name in os.environ):
        return None
    return (
        "there are no credentials for it: set DATABRICKS_HOST and DATABRICKS_TOKEN, or run "
        "`databricks configure`"
    )


def _wrong_database(uri: str) -> str | None:
    """Asks SQLAlchemy, which MLflow uses, and which connects only later."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError

    try:
        create_engine(uri)
    except ImportError as error:
        package = PACKAGES.get(error.name or "", error.name)
        return f"its driver is not installed ({first_line(error)}); run: pip install {package}"
    except (ArgumentError, ValueError) as error:
        return f"is no address of a database ({first_line(error)})"
    return None
