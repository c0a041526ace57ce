"""MLflow as a view of the journal: the only file that imports mlflow, and it does so late.

One batch per flush. Experiments are created by name, never "set", because MLflow's fluent
`set_experiment` lets a parallel first run fall into "Default". Of MLflow's own automatic logging
nothing is used: what a run logs is what its journal says.
"""

import csv
import itertools
import json
import logging
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from filelock import FileLock

from harness import saved_view
from harness.config import TrackingConfig
from harness.errors import ConfigError, first_line
from harness.journal import Event, append, last, read
from harness.signals import deferred
from harness.statistics import over_replicas

NUMBERS = ("metrics", "scalars")  # kinds of events that hold numbers
BATCHED = (*NUMBERS, "tags")  # kinds of events that go into one batch
SQLITE = "sqlite:///"
METRICS_PER_BATCH = 1000  # MLflow's limit
PLACE = ("split", "replica", "sample", "time_step")  # of a prediction, as its CSV has it
TABLE_ROWS = 250  # of each split, in MLflow's table; predictions.csv has all
NOTE = "mlflow.note.content"  # the description, in Markdown
LOSS_PICTURE = "plots/loss.png"


def tracking_uri(config: TrackingConfig, results: Path) -> str:
    """The configured URI, or the absolute one of `results/mlflow.db`."""
    folder = str(results.resolve())
    if config.uri is None and set(folder) & set("?%#"):
        raise ConfigError(
            f"results={folder}: MLflow cannot keep its database in a folder with ?, % or # in its "
            "name; choose another, or tracking=journal."
        )
    return config.uri or f"{SQLITE}{folder}/mlflow.db"


@cache
def load_mlflow() -> None:
    """Import MLflow, once and for all, without what it would do and say of its own accord."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_DISABLE_AGENT_HINT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    with deferred():  # an import that is cut short leaves half a module behind
        import mlflow.tracking  # noqa: F401
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

    event.listen(Engine, "connect", _connected)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # narrates its migrations
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # repeats what the caller is told anyway


_connections: list[sqlite3.Connection] = []


def _connected(connection: Any, _: Any) -> None:
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
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"{path}: cannot be used as MLflow's database ({first_line(error)}); choose another "
            "with results=FOLDER or tracking.uri=…"
        ) from error


def _prepare_database(path: Path) -> None:
    """Make the database if it is not there, and see that it can be written."""
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        made = not path.exists()
        if made:
            partial = Path(f"{path}.partial")
            partial.unlink(missing_ok=True)
            MlflowClient(tracking_uri=f"{SQLITE}{partial}").search_experiments(max_results=1)
            os.replace(partial, path)
        with closing(sqlite3.connect(path, timeout=20.0)) as connection:
            if made:  # readers then do not lock out a writer
                connection.execute("PRAGMA journal_mode=WAL")
            _check_writable(connection)


def _check_writable(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.rollback()


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
        folder = re.sub(r"[^\w.-]+|^\.+", "_", name)
        place = None if remote else (results / "artifacts" / folder).resolve().as_uri()
        tags = saved_view.tag() | {
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


class MlflowView:
    """Shows one run's events in MLflow; a run is known by `address` once it is created."""

    def __init__(self, uri: str, results: Path, directory: Path) -> None:
        self.uri, self.results, self.directory = uri, results, directory
        self.address: dict[str, str] = {}
        self._note = ""
        self._client: Any = None

    def send(self, events: list[Event]) -> None:
        """See `harness.feed.View`. Sending an event twice does no harm."""
        if events and self._client is None:
            self._client = client(self.uri)
        while events:
            together = list(itertools.takewhile(lambda e: e["kind"] in BATCHED, events))
            if together:
                self._batch(together)
            else:
                getattr(self, f"_{events[0]['kind']}")(**events[0])
            del events[: len(together) or 1]

    @property
    def _run(self) -> str:
        return self.address["run_id"]

    def _start(self, *, time: int, name: str, experiment: str, **event: Any) -> None:
        from mlflow.entities import Param

        self._note = event["tags"].get(NOTE, "")
        if not self.address:
            tags = dict(event["tags"])
            if event.get("parent") is not None:
                tags["mlflow.parentRunId"] = self._parent(Path(event["parent"]))
            number = experiment_id(self._client, experiment, self.results, event["note"])
            with deferred():
                run = self._client.create_run(number, time, tags, name)
                self.address = {"run_id": run.info.run_id, "experiment_id": number, "uri": self.uri}
        rows = [Param(key, str(value)[:6000]) for key, value in event["params"].items()]
        self._client.log_batch(self._run, params=rows)

    def _parent(self, directory: Path) -> str:
        """The id of the run whose journal is in `directory`; whoever needs it first creates it."""
        with FileLock(directory / "parent.lock"):
            found = last(directory, "mlflow")
            if found is None:
                view = MlflowView(self.uri, self.results, directory)
                view._client = self._client
                view.send([e for e in read(directory) if e["kind"] == "start"])
                append(directory, "mlflow", **view.address)
                return view.address["run_id"]
        return found["run_id"]

    def _batch(self, events: list[Event]) -> None:
        """All numbers and tags of the events, in as few batches as MLflow allows."""
        from mlflow.entities import Metric, RunTag

        rows, tags = [], {}
        for event in events:
            if event["kind"] == "tags":
                tags |= event["values"]
                continue
            for name, value in event["values"].items():
                each = over_replicas(name, value if isinstance(value, list) else [value])
                step = event.get("step", 0)
                rows += [Metric(k, _storable(v), event["time"], step) for k, v in each.items()]
        labels = [RunTag(key, str(value)) for key, value in tags.items()]
        for start in range(0, max(len(rows), 1), METRICS_PER_BATCH):
            part = rows[start : start + METRICS_PER_BATCH]
            self._client.log_batch(self._run, metrics=part, tags=labels if start == 0 else [])

    def _dataset(self, *, name: str, digest: str, source: dict, shapes: dict, **_: Any) -> None:
        """The training data as a dataset input, with our own digest and no copy of the values."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = Dataset(
            name=name,
            digest=digest,
            source_type="code",
            source=json.dumps(source),
            schema=None,
            profile=json.dumps(shapes),
        )
        inputs = [DatasetInput(data, [InputTag("mlflow.data.context", "train")])]
        self._client.log_inputs(self._run, inputs)

    def _file(self, *, path: str, **_: Any) -> None:
        folder = str(Path(path).parent)
        target = None if folder == "." else folder
        self._client.log_artifact(self._run, self.directory / path, target)

    def _table(self, *, path: str, **_: Any) -> None:
        """A CSV of predictions as the table that MLflow puts side by side for several runs: it
        takes the first column for the row's name and the second for the value to compare.

        What MLflow's own `log_table` writes, without pandas, whose import takes half a second."""
        rows: list[list[Any]] = []
        seen: Counter[str] = Counter()
        with (self.directory / path).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                seen[row["split"]] += 1
                if seen[row["split"]] <= TABLE_ROWS:
                    name = " ".join(row[n] for n in (*PLACE, "output"))
                    values = [float(row[n]) if row[n] else None for n in ("predicted", "true")]
                    rows.append([name, *values, row["split"], *(int(row[n]) for n in PLACE[1:])])
        target = Path(path).with_suffix(".json").name
        table = {"columns": ["row", "predicted", "true", *PLACE], "data": rows}
        self._client.log_text(self._run, json.dumps(table), target)
        listed = json.dumps([{"path": target, "type": "table"}])
        self._client.set_tag(self._run, "mlflow.loggedArtifacts", listed)

    def _end(self, *, time: int, status: str, error: str | None = None, **_: Any) -> None:
        note = self._note if error is None else f"**{status}**: {error}\n\n{self._note}"
        if (self.directory / LOSS_PICTURE).exists():
            note += f"\n\n![loss](get-artifact?path={LOSS_PICTURE}&run_uuid={self._run})"
        if note != self._note:
            self._client.set_tag(self._run, NOTE, note[:8000])
        self._client.set_terminated(self._run, status, end_time=time)


def _storable(value: float) -> float:
    """MLflow keeps an infinity as 1.8e308, which then looks like a number: keep it as NaN."""
    return value if np.isfinite(value) else float("nan")
