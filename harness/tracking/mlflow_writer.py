"""Write the events of a run's journal to MLflow.

A flush is one batch. MLflow's automatic logging is not used: a run logs only its journal's events.
"""

import csv
import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.core.file_names import LOSS_PLOT, PARENT_LOCK
from harness.core.intervals import over_replicas
from harness.system.signals import deferred
from harness.tracking import mlflow_store
from harness.tracking.journal import Event, append, last, read
from harness.tracking.mlflow_store import NOTE, experiment_id

NUMBERS = ("metrics", "scalars")  # kinds of events that hold numbers
BATCHED = (*NUMBERS, "tags")  # kinds of events that go into one batch
METRICS_PER_BATCH = 1000  # MLflow's limit
PLACE = ("split", "replica", "sample", "time_step")  # of a prediction, as its CSV has it
TABLE_ROWS = 250  # of each split, in MLflow's table; predictions.csv has all


class MlflowWriter:
    """A writer of one run's events to MLflow; the run has an `address` once it is created."""

    def __init__(self, uri: str, results: Path, directory: Path) -> None:
        self.uri, self.results, self.directory = uri, results, directory
        self.address: dict[str, str] = {}
        self._note = ""
        self._client: Any = None
        self.handlers: dict[str, Callable[..., None]] = {  # of the kinds that are not batched
            "start": self._start,
            "dataset": self._dataset,
            "file": self._file,
            "table": self._table,
            "end": self._end,
        }

    def send(self, events: list[Event]) -> None:
        """Write `events` and remove those written; see `harness.tracking.event_buffer.View`.

        To send an event twice does no harm.
        """
        if events and self._client is None:
            self._client = mlflow_store.client(self.uri)
        while events:
            batch = list(itertools.takewhile(lambda e: e["kind"] in BATCHED, events))
            if batch:
                self._batch(batch)
            else:
                self.handlers[events[0]["kind"]](**events[0])
            del events[: len(batch) or 1]

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
        """Return the id of the run whose journal is in `directory`, which is created if needed."""
        with FileLock(directory / PARENT_LOCK):
            event = last(directory, "mlflow")
            if event is None:
                view = MlflowWriter(self.uri, self.results, directory)
                view._client = self._client
                try:
                    view.send([e for e in read(directory) if e["kind"] == "start"])
                finally:  # a run that was created is not created again, even if it lacks events
                    if view.address:
                        append(directory, "mlflow", **view.address)
                return view.address["run_id"]
        return event["run_id"]

    def _batch(self, events: list[Event]) -> None:
        """Write all numbers and tags of the events, in as few batches as MLflow allows."""
        from mlflow.entities import Metric, RunTag

        rows: list[Metric] = []
        tags: dict[str, object] = {}
        for event in events:
            if event["kind"] == "tags":
                tags |= event["values"]
                continue
            values: dict[str, float | list[float]] = event["values"]
            for name, value in values.items():
                replicas: list[float] = value if isinstance(value, list) else [value]
                summary, step = over_replicas(name, replicas), event.get("step", 0)
                rows += [Metric(k, _storable(v), event["time"], step) for k, v in summary.items()]
        labels = [RunTag(key, str(value)) for key, value in tags.items()]
        for start in range(0, max(len(rows), 1), METRICS_PER_BATCH):
            batch = rows[start : start + METRICS_PER_BATCH]
            self._client.log_batch(self._run, metrics=batch, tags=labels if start == 0 else [])

    def _dataset(
        self, *, name: str, digest: str, source: object, shapes: object, **_: object
    ) -> None:
        """Write the training data as a dataset input, with our digest and no copy of the values."""
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

    def _file(self, *, path: str, **_: object) -> None:
        folder = str(Path(path).parent)
        target = None if folder == "." else folder
        self._client.log_artifact(self._run, self.directory / path, target)

    def _table(self, *, path: str, **_: object) -> None:
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
        target = Path(path).with_suffix(".json").name
        table = {"columns": ["row", "predicted", "true", *PLACE], "data": rows}
        self._client.log_text(self._run, json.dumps(table), target)
        listed = json.dumps([{"path": target, "type": "table"}])
        self._client.set_tag(self._run, "mlflow.loggedArtifacts", listed)

    def _end(self, *, time: int, status: str, error: str | None = None, **_: object) -> None:
        note = self._note if error is None else f"**{status}**: {error}\n\n{self._note}"
        if (self.directory / LOSS_PLOT).exists():
            note += f"\n\n![loss](get-artifact?path={LOSS_PLOT}&run_uuid={self._run})"
        if note != self._note:
            self._client.set_tag(self._run, NOTE, note[:8000])
        self._client.set_terminated(self._run, status, end_time=time)


def _storable(value: float) -> float:
    """Return NaN for an infinity, which MLflow would store as 1.8e308, like a finite number."""
    return value if np.isfinite(value) else float("nan")
