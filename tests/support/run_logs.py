"""Runs that are logged without being trained, and what MLflow has of them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.tracking.event_buffer import EventBuffer
from harness.tracking.mlflow_store import tracking_uri
from harness.tracking.mlflow_writer import MlflowWriter
from harness.tracking.run_log import RunLog
from tests.support import program

NEVER = 1e9  # seconds to wait before sending of its own accord


def record_in(folder: Path, name: str = "run") -> RunLog:
    results = folder / "results"
    uri = tracking_uri(None, results)
    directory = results / "runs" / name
    return RunLog(directory, EventBuffer(directory, MlflowWriter(uri, results, directory), NEVER))


def begin(record: RunLog, experiment: str = "sum", **changes: Any) -> None:
    start = {
        "name": "sum·numpy",
        "experiment": experiment,
        "note": "What it is about",
        "params": {"seed": 0, "model.returns": None, "optimizer.lr": 0.001},
        "tags": {"backend": "numpy", "mlflow.note.content": "Repeat it"},
    }
    record.write("start", **start | changes)


def feed_of(record: RunLog) -> EventBuffer:
    assert isinstance(record.tracking, EventBuffer)
    return record.tracking


def only(folder: Path) -> Any:
    [run] = program.tracked(folder)
    return run


def with_files(record: RunLog) -> None:
    (record.directory / "plots").mkdir(parents=True, exist_ok=True)
    (record.directory / "plots/loss.png").write_bytes(b"picture")
    rows = pd.DataFrame({"split": ["train"] * 1200 + ["test"] * 300, "replica": 0})
    rows = rows.assign(sample=[*range(1200), *range(300)], time_step=9, output=0)
    rows = rows.assign(true=1.0, predicted=np.arange(1500.0))
    rows.to_csv(record.directory / "predictions.csv", index=False)
    record.file("plots/loss.png")
    record.file("predictions.csv")
    record.write("table", path="predictions.csv")


def everything(record: RunLog) -> None:
    begin(record)
    record.write("dataset", name="sum", digest="d" * 32, source={}, shapes={})
    record.write("scalars", values={"params/total": 1121})
    for epoch, value in enumerate([1.0, math.nan, math.inf, 0.5], start=1):
        record.metrics(epoch, {"train/loss": np.array([value]), "val/loss": np.array([1.0, 2.0])})
    record.write("tags", values={"device": "cpu"})
    with_files(record)


def contents(folder: Path) -> dict[str, Any]:
    """All that MLflow has of the only run, in a form that can be compared."""
    run = only(folder)
    number = run.info.run_id
    return {
        "params": run.data.params,
        "tags": run.data.tags,
        "history": {
            name: [(step, repr(v)) for step, v in program.history(folder, number, name)]
            for name in run.data.metrics
        },
        "data": [entry.dataset.digest for entry in run.inputs.dataset_inputs],
        "files": program.artifacts(folder, number),
        "status": run.info.status,
    }
