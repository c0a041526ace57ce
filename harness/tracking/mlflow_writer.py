"""Write the events of a run's journal to MLflow.

MLflow's automatic logging is not used: a run logs only its journal's events. Whatever is written
twice is there once.
"""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.core.file_names import LOSS_PLOT
from harness.core.intervals import over_replicas
from harness.tracking.journal import Event
from harness.tracking.mlflow_models import log_model
from harness.tracking.mlflow_store import NOTE

ID, BYTES = "journal.id", "journal.bytes"  # tags: the run's journal, and how much of it is there
NUMBERS = ("metrics", "scalars", "system")  # kinds of events that hold numbers
ROWS_PER_BATCH = 1000  # MLflow's limit
PLACE = ("split", "replica", "sample", "time_step")  # of a prediction, as its CSV has it
TABLE_ROWS = 250  # of each split, in MLflow's table; predictions.csv has all
LONGEST = {"param": 6000, "tag": 8000}  # MLflow's limits, in characters


class MlflowWriter:
    """A writer of one run, whose files are in `directory`, by its id in MLflow.

    `files` is MLflow's store of the run's files.
    """

    def __init__(self, client: Any, directory: Path, run_id: str, files: Any) -> None:
        self.client, self.directory, self.run_id, self.files = client, directory, run_id, files

    def numbers(self, events: Sequence[Event], offset: int, note: str = "") -> int:
        """Write params, metrics, tags and data sets, in as few batches as MLflow allows.

        `offset` is where the events end in the journal, and `note` the description of a run that
        has ended. Returns the number of metrics.
        """
        from mlflow.entities import Metric, Param, RunTag

        params: dict[str, object] = {}
        tags: dict[str, object] = {}
        rows: list[Metric] = []
        for event in events:
            if event["kind"] == "start":
                params |= event["params"]
            elif event["kind"] == "tags":
                tags |= event["values"]
            elif event["kind"] == "table":
                listed = [{"path": _table_name(event["path"]), "type": "table"}]
                tags["mlflow.loggedArtifacts"] = json.dumps(listed)
            elif event["kind"] == "end":
                tags[NOTE] = self._described(event, note)
            elif event["kind"] in NUMBERS:
                step, time = event.get("step", 0), event["time"]
                rows += [Metric(k, _storable(v), time, step) for k, v in _summaries(event)]
        for event in events:
            if event["kind"] == "dataset":
                self._dataset(event)
        settings = [Param(name, str(value)[: LONGEST["param"]]) for name, value in params.items()]
        labels = [RunTag(name, _tag(value)) for name, value in tags.items()]
        for i in range(0, len(rows), ROWS_PER_BATCH)[1:]:
            self.client.log_batch(self.run_id, metrics=rows[i : i + ROWS_PER_BATCH])
        for i in range(0, len(settings), 100)[1:]:
            self.client.log_batch(self.run_id, params=settings[i : i + 100])
        last = [*labels, RunTag(BYTES, str(offset))]  # MLflow writes tags after all else
        batch = {"metrics": rows[:ROWS_PER_BATCH], "params": settings[:100], "tags": last}
        self.client.log_batch(self.run_id, **batch)
        return len(rows)

    def _dataset(self, event: Event) -> None:
        """Write the training data as a dataset input, with our digest and no copy of the values.

        A data set is there once for all of its runs. Where another process has written it at the
        same moment, PostgreSQL refuses the second one, and a second try finds it.
        """
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException

        data = Dataset(
            name=event["name"],
            digest=event["digest"],
            source_type="code",
            source=json.dumps(event["source"]),
            schema=None,
            profile=json.dumps(event["shapes"]),
        )
        inputs = [DatasetInput(data, [InputTag("mlflow.data.context", "train")])]
        try:
            self.client.log_inputs(self.run_id, inputs)
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST":
                raise
            self.client.log_inputs(self.run_id, inputs)

    def file(self, path: str) -> None:
        """Write a file, by its path in the run's directory."""
        folder = str(Path(path).parent)
        target = None if folder == "." else folder
        self.files.log_artifact(str(self.directory / path), target)

    def table(self, path: str) -> None:
        """Write a CSV of predictions as a table that MLflow can show side by side for several runs.

        MLflow takes the first column for the row's name and the second for the value to compare.
        The file is like that of MLflow's `log_table`, which needs pandas, whose import takes half a
        second.
        """
        rows: list[list[Any]] = []
        seen: Counter[str] = Counter()
        with (self.directory / path).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                seen[row["split"]] += 1
                if seen[row["split"]] <= TABLE_ROWS:
                    name = " ".join(row[n] for n in (*PLACE, "output"))
                    values = [float(row[n]) if row[n] else None for n in ("predicted", "true")]
                    rows.append([name, *values, row["split"], *(int(row[n]) for n in PLACE[1:])])
        table = {"columns": ["row", "predicted", "true", *PLACE], "data": rows}
        with TemporaryDirectory(prefix="harness-") as folder:
            file = Path(folder, _table_name(path))
            file.write_text(json.dumps(table), encoding="utf-8")
            self.files.log_artifact(str(file))

    def model(self, path: str) -> None:
        """Write the trained network as one of MLflow's models."""
        log_model(self.client, self.directory, self.run_id, path)

    def end(self, event: Event) -> None:
        """Write that the run has ended, and when."""
        self.client.set_terminated(self.run_id, event["status"], end_time=event["time"])

    def _described(self, end: Event, note: str) -> str:
        """Return the description of a run that has ended: an error, `note`, the loss picture."""
        described = note
        if end.get("error") is not None:
            described = f"**{end['status']}**: {end['error']}\n\n{note}"
        if (self.directory / LOSS_PLOT).exists():
            described += f"\n\n![loss](get-artifact?path={LOSS_PLOT}&run_uuid={self.run_id})"
        return described


def _table_name(path: str) -> str:
    """Return the name of the table that MLflow shows for a CSV."""
    return Path(path).with_suffix(".json").name


def _summaries(event: Event) -> list[tuple[str, float]]:
    """Return the metrics of an event by name: with several replicas, mean and spread of each."""
    found: list[tuple[str, float]] = []
    values: dict[str, float | list[float]] = event["values"]
    for name, value in values.items():
        replicas: list[float] = value if isinstance(value, list) else [value]
        found += over_replicas(name, replicas).items()
    return found


def _tag(value: object) -> str:
    return str(value)[: LONGEST["tag"]]


def _storable(value: float) -> float:
    """Return NaN for an infinity, which MLflow would store as 1.8e308, like a finite number."""
    return value if np.isfinite(value) else float("nan")
