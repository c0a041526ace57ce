"""MLflow as a view of the journal: the only file that imports mlflow, and it does so late.

One batch per flush. Experiments are created by name, never "set", because MLflow's fluent
`set_experiment` lets a parallel first run fall into "Default". Of MLflow's own automatic logging
nothing is used: what a run logs is what its journal says.
"""

import itertools
import json
import logging
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness import saved_view
from harness.config import TrackingConfig
from harness.errors import ConfigError, first_line
from harness.journal import Event
from harness.signals import deferred
from harness.statistics import over_replicas

NUMBERS = ("metrics", "scalars")  # kinds of events that go into one batch
METRICS_PER_BATCH = 1000  # MLflow's limit
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
    return config.uri or f"sqlite:///{folder}/mlflow.db"


def client(uri: str) -> Any:
    """An `MlflowClient`. A new SQLite database is made by one process at a time, and whole or not
    at all: MLflow never mends one whose migrations were cut short."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_DISABLE_AGENT_HINT", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    with deferred():  # an import that is cut short leaves half a module behind
        from mlflow import MlflowClient

    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # narrates its migrations
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # repeats what the caller is told anyway
    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///"))
        try:
            with deferred():
                _prepare_database(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"{path}: cannot be used as MLflow's database ({first_line(error)}); choose "
                "another with results=FOLDER or tracking.uri=…"
            ) from error
    return MlflowClient(tracking_uri=uri)


def _prepare_database(path: Path) -> None:
    """Make the database if it is not there, and see that it can be written."""
    from mlflow import MlflowClient

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        made = not path.exists()
        if made:
            partial = Path(f"{path}.partial")
            partial.unlink(missing_ok=True)
            MlflowClient(tracking_uri=f"sqlite:///{partial}").search_experiments(max_results=1)
            os.replace(partial, path)
        with closing(sqlite3.connect(path, timeout=20.0)) as connection:
            if made:  # readers then do not lock out a writer
                connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()


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
        raise ConfigError(
            f"tracking.experiment={name}: this experiment was deleted in MLflow; restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}` or name another."
        )
    return found.experiment_id


def view_of(config: TrackingConfig, results: Path, directory: Path) -> "MlflowView | None":
    """What shows the run in `directory`; None where the journal is all that is wanted."""
    if config.name != "mlflow":
        return None
    return MlflowView(tracking_uri(config, results), results, directory)


class MlflowView:
    """Shows one run's events in MLflow; a run is known by `address` once it is created."""

    def __init__(self, uri: str, results: Path, directory: Path) -> None:
        self.uri, self.results, self.directory = uri, results, directory
        self.address: dict[str, str] = {}
        self._note = ""
        self._client: Any = None

    def send(self, events: list[Event]) -> None:
        """See `harness.record.View`. Sending an event twice does no harm."""
        if events and self._client is None:
            self._client = client(self.uri)
        while events:
            together = list(itertools.takewhile(lambda e: e["kind"] in NUMBERS, events))
            if together:
                self._numbers(together)
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
            number = experiment_id(self._client, experiment, self.results, event["note"])
            with deferred():
                run = self._client.create_run(number, time, event["tags"], name)
                self.address = {"run_id": run.info.run_id, "experiment_id": number, "uri": self.uri}
        rows = [Param(key, str(value)[:6000]) for key, value in event["params"].items()]
        self._client.log_batch(self._run, params=rows)

    def _tags(self, *, values: dict[str, str], **_: Any) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(key, str(value)) for key, value in values.items()]
        self._client.log_batch(self._run, tags=tags)

    def _numbers(self, events: list[Event]) -> None:
        """All values of the events, as few batches as MLflow allows."""
        from mlflow.entities import Metric

        rows = []
        for event in events:
            for name, value in event["values"].items():
                each = over_replicas(name, value if isinstance(value, list) else [value])
                step = event.get("step", 0)
                rows += [Metric(k, _storable(v), event["time"], step) for k, v in each.items()]
        for start in range(0, len(rows), METRICS_PER_BATCH):
            self._client.log_batch(self._run, metrics=rows[start : start + METRICS_PER_BATCH])

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
        takes the first column for the row's name and the second for the value to compare."""
        import pandas as pd

        target = Path(path).with_suffix(".json").name
        if target in {file.path for file in self._client.list_artifacts(self._run)}:
            return
        rows = pd.read_csv(self.directory / path)
        rows = rows.loc[rows.groupby("split").cumcount() < TABLE_ROWS]
        names = ["split", "replica", "sample", "time_step", "output"]
        name = [" ".join(map(str, row)) for row in rows[names].itertuples(index=False)]
        shown = {"row": name, "predicted": rows["predicted"], "true": rows["true"]}
        shown |= {key: rows[key] for key in ("split", "replica", "sample", "time_step")}
        self._client.log_table(self._run, pd.DataFrame(shown), target)

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
