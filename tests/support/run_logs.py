"""Runs that are logged without being trained, and what MLflow has of them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.tracking.destination import Destination
from harness.tracking.follower import Follower
from harness.tracking.mlflow_store import destination_in
from harness.tracking.run_log import RunLog
from harness.tracking.sent import address
from tests.support import program


class SentHere:
    """The tracking of a run whose journal this process sends, whenever it is told of news."""

    problem = ""

    def __init__(self, directory: Path, place: Destination) -> None:
        self.follower = Follower(directory, place, is_new=True)

    @property
    def store(self) -> dict[str, str]:
        return self.follower.place.seen_from(self.follower.directory)

    def tell(self) -> None:
        try:
            self.follower.advance()
        except ConnectionError as error:  # of a client that was told to fail
            self.problem = str(error)
        else:
            self.problem = self.follower.problem

    def wait_for_address(self) -> dict[str, str]:
        return address(self.follower.directory) or {}


def record_in(folder: Path, name: str = "run") -> RunLog:
    results = folder / "results"
    directory = results / "runs" / name
    return RunLog(directory, SentHere(directory, destination_in(None, results)))


START: dict[str, Any] = {
    "name": "sum·numpy",
    "experiment": "sum",
    "note": "What it is about",
    "params": {"seed": 0, "model.returns": None, "optimizer.lr": 0.001},
    "tags": {"backend": "numpy", "mlflow.note.content": "Repeat it"},
}  # the fields that the first event of a run needs


def begin(record: RunLog, **changes: Any) -> None:
    record.start(**START | changes)


def sent_by(record: RunLog) -> SentHere:
    assert isinstance(record.tracking, SentHere)
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
    validation = np.array([1.0, 2.0])
    for epoch, value in enumerate([1.0, math.nan, math.inf, 0.5], start=1):
        record.metrics(epoch, {"train/loss": np.full(2, value), "val/loss": validation})
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
