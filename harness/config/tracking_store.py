"""MLflow's store and experiment: who names them, and whether such a store can work at all.

A store that can never work is refused before training, and without MLflow, whose import takes
seconds. A server that is down is not refused: it may be up later, and the journal keeps the run
until then.
"""

import importlib.metadata
import os
import re
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

from harness.core.errors import ConfigError

URI, EXPERIMENT = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"
UNUSED = {  # variables that MLflow obeys but the harness does not, and what to use instead
    "MLFLOW_RUN_ID": "every run here is a run of its own",
    "MLFLOW_EXPERIMENT_ID": f"name the experiment with {EXPERIMENT} or tracking.experiment=NAME",
}
SQLITE = "sqlite:///"
DATABASES = ("postgres", "postgresql", "mysql", "mssql")
# Programs would need its password, hold connections to it, race to make its tables, and keep files
# of runs where only they can read them.
PROBLEM_OF_DATABASE = (
    "is a database for a tracking server, not for programs; run `mlflow server --workers 1 "
    "--artifacts-destination FOLDER --backend-store-uri` with it, and give the server's address, "
    "such as http://127.0.0.1:5000 (docs/scale.md)"
)
VALID = "sqlite:////FOLDER/mlflow.db, http://HOST:PORT, https://HOST or databricks"
CREDENTIALS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")  # MLflow reads them itself
SECRET = re.compile(r"[^=]*(pass|pwd|token|secret|key)[^=]*=", re.IGNORECASE)  # in a URI's query
LONGEST = 500  # characters of an experiment's name, in MLflow 3.17


def from_environment(name: str) -> str | None:
    """Return the value of a variable, or None if it is unset or empty."""
    return os.environ.get(name, "").strip() or None


def unused_variables(experiment: str | None) -> list[str]:
    """Return a sentence for each of MLflow's variables that is set and not used here.

    MLFLOW_EXPERIMENT_ID is left out if an `experiment` was named, which overrules it in MLflow,
    too.
    """
    names = [name for name in UNUSED if from_environment(name)]
    return [
        f"{name}={from_environment(name)}: is not used; {UNUSED[name]}"
        for name in names
        if name == "MLFLOW_RUN_ID" or experiment is None
    ]


def experiment_in_environment() -> str | None:
    """Return the experiment that the environment names, or None."""
    return from_environment(EXPERIMENT)


def check(uri: str | None, experiment: str | None) -> None:
    """Raise `ConfigError` for a store or an experiment that cannot work.

    None stands for the one that the environment names.
    """
    for key, named, variable, check_value in (
        ("tracking.uri", uri, URI, check_uri),
        ("tracking.experiment", experiment, EXPERIMENT, check_experiment),
    ):
        chosen = from_environment(variable) if named is None else named
        if chosen is not None:
            check_value(variable if named is None else key, chosen)


def check_experiment(key: str, name: str) -> None:
    """Raise `ConfigError` for a name that MLflow refuses; `key` is the setting that gave it."""
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
    """Return the store's URI with an absolute path, so that any current directory may be used."""
    path = uri.removeprefix(SQLITE)
    if not uri.startswith(SQLITE) or path in ("", ":memory:"):
        return uri
    return f"{SQLITE}{Path(path).expanduser().absolute()}"


def make_uri_absolute() -> None:
    """Make the path in MLFLOW_TRACKING_URI absolute, for jobs that run in other directories.

    To be called as the program starts, in the directory in which the command was typed.
    """
    uri = from_environment(URI)
    if uri is not None:
        os.environ[URI] = absolute(uri)


def database_of(uri: str) -> Path | None:
    """Return the file of an SQLite database, or None for another kind of store."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def source_of(uri: str) -> str:
    """Return a remark that the environment names the store, or an empty string."""
    named = from_environment(URI)
    is_named = named is not None and without_secrets(absolute(named)) == uri
    return f" (from {URI})" if is_named else ""


def without_secrets(uri: str) -> str:
    """Return the URI as it may be shown and written down: without passwords and tokens.

    A user's name is kept for a database, which needs it to find the password elsewhere.
    """
    before, slashes, rest = uri.partition("://")
    if before.lower() == "sqlite" or not slashes:
        return uri
    user, at, place = rest.rpartition("@")
    is_server = before.lower() in ("http", "https")
    name = "" if is_server else user.partition(":")[0]
    place, question, query = place.partition("?")
    kept = [word for word in query.split("&") if not is_server and not SECRET.match(word)]
    query = f"{question}{'&'.join(kept)}" if any(kept) else ""
    return f"{before}://{name}{at if name else ''}{place}{query}"


def with_secrets(uri: str) -> str:
    """Return the URI with the password that MLFLOW_TRACKING_URI has for it, to connect with."""
    named = from_environment(URI)
    return named if named is not None and without_secrets(named) == uri else uri


def masked(text: str) -> str:
    """Return a text, such as an error of MLflow's, without the environment's passwords."""
    named = from_environment(URI)
    if named is not None and named != without_secrets(named):
        text = text.replace(named, without_secrets(named))
        user, _, _ = named.partition("://")[2].rpartition("@")
        text = text.replace(user, "***") if user else text
    for name in CREDENTIALS:
        secret = from_environment(name)
        text = text.replace(secret, "***") if secret is not None else text
    return text


def check_for_secrets(key: str, uri: str) -> None:
    """Raise `ConfigError` for a typed URI with a password, which would be kept in files."""
    shown = without_secrets(uri)
    if shown != uri:
        raise ConfigError(
            f"{key}={shown}: was given with a password or token, which a run would keep in its "
            f"files; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
            f"MLFLOW_TRACKING_TOKEN, or put the whole address into {URI}."
        )


@cache
def check_uri(key: str, uri: str) -> None:
    """Raise `ConfigError` for a store that can never work; `key` is the setting that gave it."""
    if key != URI:
        check_for_secrets(key, uri)
    problem = _problem(uri)
    if problem is not None:
        raise ConfigError(f"{key}={without_secrets(uri)}: {problem}.")


def _problem(uri: str) -> str | None:
    """Return the problem with a store and what would be valid, or None if it may work."""
    before, colon, _ = uri.partition(":")
    scheme = before.lower() if colon or uri == "databricks" else ""  # databricks needs no colon
    if not uri.strip():
        return f"must be {VALID}; without this, it is the database in the results"
    if re.fullmatch(r"[\w.-]{2,}:\d+(/.*)?", uri, re.ASCII):
        return f"a server's address begins with http:// or https://, as in http://{uri}"
    if scheme == "sqlite":
        return _problem_of_file(uri)
    if scheme in ("http", "https"):
        return _problem_of_server(uri)
    if scheme == "databricks":
        return _problem_of_databricks()
    if scheme.partition("+")[0] in DATABASES:
        return PROBLEM_OF_DATABASE
    if scheme in ("", "file") or len(scheme) == 1:  # one letter is a drive of Windows
        if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
            return None
        return f"MLflow keeps no runs in folders any more; must be {VALID}"
    plugins = importlib.metadata.entry_points(group="mlflow.tracking_store")
    if scheme in {each.name for each in plugins}:
        return None
    return f"MLflow has no such store; must be {VALID}"


def _problem_of_file(uri: str) -> str | None:
    path = uri.removeprefix(SQLITE)
    if not uri.startswith(SQLITE) or path in ("", ":memory:"):
        return f"must be {SQLITE}PATH, such as {SQLITE}mlflow.db or {SQLITE}/FOLDER/mlflow.db"
    if set(path) & set("?%#"):
        return "MLflow cannot keep its database in a file with ?, % or # in its path"
    return None


def _problem_of_server(uri: str) -> str | None:
    try:
        address = urlparse(uri)
        valid = bool(address.hostname) and address.port != 0  # `port` raises if it is no number
    except ValueError:
        valid = False
    return None if valid and not re.search(r"\s", uri) else "must be such as http://127.0.0.1:5000"


def _problem_of_databricks() -> str | None:
    file = Path(os.environ.get("DATABRICKS_CONFIG_FILE") or "~/.databrickscfg").expanduser()
    if file.exists() or any(name.startswith("DATABRICKS_") for name in os.environ):
        return None
    return (
        "there are no credentials for it: set DATABRICKS_HOST and DATABRICKS_TOKEN, or run "
        "`databricks configure`"
    )
