"""MLflow shows what the journal says: decided on a real SQLite store, read back through MLflow.

Also one batch per look at the journal, and events that arrive a second time.
"""

import base64
import contextlib
import json
import math
import subprocess
import sys
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.core.errors import Diverged
from harness.core.file_names import JOURNAL, SENT
from harness.sweeps.sweep import Sweep, parent
from harness.tracking import mlflow_store
from harness.tracking.follower import Follower
from harness.tracking.job_outcomes import jobs
from harness.tracking.journal import read
from harness.tracking.journal_writer import Journal
from harness.tracking.mlflow_store import destination_in
from harness.tracking.mlflow_writer import ID, TABLE_ROWS
from harness.tracking.sent import address
from tests.support import ROOT, program
from tests.support.configs import config
from tests.support.program import uses_mlflow
from tests.support.run_logs import (
    START,
    begin,
    contents,
    everything,
    only,
    record_in,
    sent_by,
    with_files,
)

pytestmark = uses_mlflow


@dataclass
class Counting:
    """An MLflow client that counts what it is asked, and can be told to refuse."""

    client: Any
    calls: Counter[str] = field(default_factory=Counter)
    refuse: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        if name in self.refuse:
            raise ConnectionError(name)
        return getattr(self.client, name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a name as users have them, and an empty database."""
    return program.with_database(tmp_path / "my wörk")


@pytest.fixture
def counting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Counting:
    made = Counting(program.mlflow(folder))
    monkeypatch.setattr(mlflow_store, "client", lambda _: made)
    return made


def test_a_run_is_named_described_and_filed(folder: Path) -> None:
    with record_in(folder) as record:
        begin(record, params={"long": "x" * 10_000, "optimizer.lr": 0.001, "seed": 0})
    run = only(folder)
    assert run.info.run_name == "sum·numpy"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"long": "x" * 6000, "optimizer.lr": "0.001", "seed": "0"}
    assert run.data.tags["backend"] == "numpy"
    assert run.data.tags["mlflow.note.content"] == "Repeat it"
    experiment = program.mlflow(folder).get_experiment(run.info.experiment_id)
    assert experiment.name == "sum"
    assert experiment.tags["mlflow.note.content"] == "What it is about"
    view = json.loads(experiment.tags["mlflow.sharedViewState.by-loss"])
    state = zlib.decompress(base64.b64decode(view["state"].removeprefix("deflate;")))
    assert json.loads(state)["orderByKey"] == "metrics.`val/loss`"


def test_times_are_those_of_the_journal(folder: Path) -> None:
    with record_in(folder) as record:
        begin(record)
        record.metrics(1, {"train/loss": np.array([1.0])})
    times = {event["kind"]: event["time"] for event in read(record.directory)}
    run = only(folder)
    [metric] = program.mlflow(folder).get_metric_history(run.info.run_id, "train/loss")
    assert run.info.start_time == times["start"]
    assert run.info.end_time == times["end"]
    assert metric.timestamp == times["metrics"]


def test_a_metric_has_its_history_by_epoch(folder: Path) -> None:
    with record_in(folder) as record:
        begin(record)
        record.write("scalars", values={"params/total": 1121})
        for epoch in range(1, 6):
            values = {"train/loss": np.array([1 / epoch]), "val/loss": np.array([2.0 * epoch])}
            record.metrics(epoch, values)
    run = only(folder)
    train = program.history(folder, run.info.run_id, "train/loss")
    assert train == [(epoch, 1 / epoch) for epoch in range(1, 6)]
    val = program.history(folder, run.info.run_id, "val/loss")
    assert val == [(epoch, 2.0 * epoch) for epoch in range(1, 6)]
    assert run.data.metrics == {"train/loss": 0.2, "val/loss": 10.0, "params/total": 1121}


def test_a_flush_is_one_batch(folder: Path, counting: Counting) -> None:
    with record_in(folder) as record:
        begin(record)
        record.flush()
        before = counting.calls["log_batch"]
        for epoch in range(1, 101):
            record.metrics(epoch, {f"{n}/loss": np.array([1.0]) for n in ("train", "val")})
        assert counting.calls["log_batch"] == before
        record.flush()
        assert counting.calls["log_batch"] == before + 1
        assert counting.calls["log_metric"] == 0
        record.flush()
        assert counting.calls["log_batch"] == before + 1, "nothing to send, nothing sent"
    assert len(program.history(folder, only(folder).info.run_id, "val/loss")) == 100


def test_more_than_mlflow_allows_goes_in_as_few_batches_as_it_allows(
    folder: Path, counting: Counting
) -> None:
    with record_in(folder) as record:
        begin(record)
        record.flush()
        before = counting.calls["log_batch"]
        for epoch in range(1, 2502):
            record.metrics(epoch, {"train/loss": np.array([1.0])})
        record.flush()
        assert counting.calls["log_batch"] == before + 3
    steps = [step for step, _ in program.history(folder, only(folder).info.run_id, "train/loss")]
    assert sorted(steps) == list(range(1, 2502))


def test_replicas_are_a_mean_with_its_spread(folder: Path) -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, (4, 5))
    with record_in(folder) as record:
        begin(record)
        for epoch, row in enumerate(values, start=1):
            record.metrics(epoch, {"val/loss": row})
    run = only(folder)
    low, high = stats.t.interval(0.95, 4, values.mean(axis=1), stats.sem(values, axis=1))
    expected = {
        "val/loss": values.mean(axis=1),
        "val/loss_std": values.std(axis=1, ddof=1),
        "val/loss_lo": low,
        "val/loss_hi": high,
    }
    assert set(run.data.metrics) == set(expected)
    for name, each in expected.items():
        logged = program.history(folder, run.info.run_id, name)
        assert [step for step, _ in logged] == [1, 2, 3, 4]
        assert [value for _, value in logged] == pytest.approx(each, rel=1e-12), name


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_replica_that_is_not_finite_leaves_no_mean(folder: Path, value: float) -> None:
    with record_in(folder) as record:
        begin(record)
        record.metrics(1, {"train/loss": np.array([1.0, value, 2.0])})
    number = only(folder).info.run_id
    for name in ("train/loss", "train/loss_std", "train/loss_lo", "train/loss_hi"):
        [(step, logged)] = program.history(folder, number, name)
        assert step == 1
        assert math.isnan(logged)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_not_a_number(folder: Path, value: float) -> None:
    with record_in(folder) as record:
        begin(record)
        record.metrics(1, {"train/loss": np.array([0.5])})
        record.metrics(2, {"train/loss": np.array([value])})
        record.metrics(3, {"train/loss": np.array([0.25])})
    logged = program.history(folder, only(folder).info.run_id, "train/loss")
    assert logged[0::2] == [(1, 0.5), (3, 0.25)]
    assert logged[1][0] == 2
    assert math.isnan(logged[1][1])


def test_the_data_set_is_an_input_with_our_own_digest(folder: Path) -> None:
    shapes = {"train.x": "(1, 800, 10, 1)"}
    with record_in(folder) as record:
        begin(record)
        digest = "0123456789abcdef" * 2
        record.write("dataset", name="sum", digest=digest, source={"seeds": [0]}, shapes=shapes)
    [data] = only(folder).inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("sum", digest)
    assert json.loads(data.dataset.source) == {"seeds": [0]}
    assert json.loads(data.dataset.profile) == shapes
    assert [(tag.key, tag.value) for tag in data.tags] == [("mlflow.data.context", "train")]


def test_files_keep_their_folders(folder: Path) -> None:
    with record_in(folder) as record:
        begin(record)
        with_files(record)
    run = only(folder)
    expected = {"plots/loss.png", "predictions.csv", "predictions.json", "journal.jsonl"}
    assert program.artifacts(folder, run.info.run_id) == expected
    assert (folder / "results/artifacts/sum").is_dir(), "beside the database"
    place = Path(program.mlflow(folder).download_artifacts(run.info.run_id, "plots/loss.png"))
    assert place.read_bytes() == b"picture"


def test_the_table_shows_the_first_rows_of_every_split(folder: Path) -> None:
    with record_in(folder) as record:
        begin(record)
        with_files(record)
    run = only(folder)
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [
        {"path": "predictions.json", "type": "table"}
    ]
    path = program.mlflow(folder).download_artifacts(run.info.run_id, "predictions.json")
    table = json.loads(Path(path).read_text())
    assert table["columns"][:3] == ["row", "predicted", "true"], "what MLflow compares by"
    names = [row[0] for row in table["data"]]
    assert len(names) == len(set(names)) == 2 * TABLE_ROWS, "of every split"
    assert table["data"][0][:3] == ["train 0 0 9 0", 0.0, 1.0]
    assert table["data"][TABLE_ROWS][:3] == ["test 0 0 9 0", 1200.0, 1.0]


def test_the_machines_load_is_there_by_its_steps(folder: Path) -> None:
    name = "system/cpu_utilization_percentage"
    with record_in(folder) as record:
        begin(record)
        for step, value in enumerate((10.0, 20.0)):
            record.write("system", step=step, values={name: value})
    assert program.history(folder, only(folder).info.run_id, name) == [(0, 10.0), (1, 20.0)]


def test_a_failure_is_explained_in_the_description(folder: Path) -> None:
    with contextlib.suppress(Diverged), record_in(folder) as record:
        begin(record)
        raise Diverged("loss not finite in epoch 3")
    note = only(folder).data.tags["mlflow.note.content"]
    assert note.startswith("**FAILED**: Diverged: loss not finite in epoch 3")
    assert note.endswith("Repeat it")


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_the_status_is_how_it_ended(folder: Path, status: str) -> None:
    record = record_in(folder)
    begin(record)
    record.end(status)
    assert only(folder).info.status == status


def test_a_run_can_be_seen_from_its_first_flush_on(folder: Path) -> None:
    with record_in(folder) as record:
        begin(record)
        record.flush()
        assert only(folder).info.status == "RUNNING"
        known = address(record.directory)
        assert known is not None
        assert known["run_id"] == only(folder).info.run_id


def test_sending_events_twice_does_no_harm(folder: Path) -> None:
    with record_in(folder) as record:
        everything(record)
    once = contents(folder)
    assert len(once["history"]["train/loss"]) == 4
    (record.directory / SENT).unlink()
    follower = Follower(record.directory, destination_in(None, folder / "results"))
    assert follower.advance().complete
    assert contents(folder) == once


@pytest.mark.parametrize(
    "call", ["create_experiment", "create_run", "log_batch", "log_inputs", "set_terminated"]
)
def test_a_call_that_fails_at_first_leaves_no_trace(
    folder: Path, counting: Counting, call: str
) -> None:
    counting.refuse = {call}
    with record_in(folder) as record:
        everything(record)
        record.flush()
        assert call == "set_terminated" or sent_by(record).problem == call
        counting.refuse = set()
    found = contents(folder)
    assert found["status"] == "FINISHED"
    assert [step for step, _ in found["history"]["train/loss"]] == [1, 2, 3, 4]
    assert found["data"] == ["d" * 32]
    assert "predictions.json" in found["files"]


def test_a_store_of_files_that_fails_holds_back_no_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, real = {"log_artifact"}, mlflow_store.file_store

    def failing(client: Any, run: Any) -> Counting:
        return Counting(real(client, run), refuse=refused)

    monkeypatch.setattr(mlflow_store, "file_store", failing)
    with record_in(folder) as record:
        everything(record)
    found = contents(folder)
    assert found["status"] == "FINISHED"
    assert [step for step, _ in found["history"]["train/loss"]] == [1, 2, 3, 4]
    assert "log_artifact" in sent_by(record).problem
    assert not sent_by(record).follower.sent.complete
    refused.clear()
    sent_by(record).tell()
    assert sent_by(record).follower.sent.complete
    assert {"predictions.json", "plots/loss.png", JOURNAL} < contents(folder)["files"]


def test_a_file_that_is_gone_holds_back_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with record_in(folder) as record:
        everything(record)
        (record.directory / "plots/loss.png").unlink()
    assert sent_by(record).follower.sent.complete
    assert "plots/loss.png is missing" in caplog.text


def test_a_file_outside_the_directory_is_not_sent(folder: Path) -> None:
    (folder / "secret").write_text("mine")
    with record_in(folder) as record:
        begin(record)
        record.write("file", path="../../../secret")
        (record.directory / "link").symlink_to(folder / "secret")
        record.write("file", path="link")
    assert program.artifacts(folder, only(folder).info.run_id) == {JOURNAL}


class LosesAnswers:
    """An MLflow client whose answer to the first `create_run` is lost on its way."""

    def __init__(self, client: Any) -> None:
        self.client, self.created = client, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def create_run(self, *arguments: Any) -> Any:
        made = self.client.create_run(*arguments)
        self.created += 1
        if self.created == 1:
            raise ConnectionError("lost")
        return made


def test_a_run_whose_creation_got_no_answer_is_not_created_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = LosesAnswers(program.mlflow(folder))
    monkeypatch.setattr(mlflow_store, "client", lambda _: client)
    with record_in(folder) as record:
        everything(record)
        record.flush()
        assert sent_by(record).problem == "lost"
    run = only(folder)
    assert client.created == 1
    assert run.info.status == "FINISHED"
    [start] = [event for event in read(record.directory) if event["kind"] == "start"]
    assert run.data.tags[ID] == start["id"]


def test_a_parent_is_made_once_and_by_whoever_can(folder: Path, counting: Counting) -> None:
    directory = folder / "results/multirun/now"
    directory.mkdir(parents=True)
    swept = Sweep(
        directory=str(directory),
        arguments=["seed=0,1,2"],
        varying=["seed"],
        total=3,
        results="results",
        uri=None,
    )
    for job in range(3):
        counting.refuse = {"create_run"} if job == 0 else set()
        above = parent(swept, config(f"results='{folder / 'results'}'"))
        assert above == directory
        with record_in(folder, f"job {job}") as record:
            begin(record, parent="../../multirun/now")
    runs = program.tracked(folder)
    [made] = [run for run in runs if run.data.tags.get("kind") == "sweep"]
    assert (address(directory) or {})["run_id"] == made.info.run_id
    children = [run for run in runs if run is not made]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {made.info.run_id}
    assert len(children) == 2, "the first could not be made, nor its parent"
    assert jobs(directory) == [], "jobs are those that the sweep has begun"


def test_numbers_of_a_sweep_that_was_stopped_before_its_start_arrive(folder: Path) -> None:
    directory = folder / "results/multirun/now"
    journal = Journal(directory)
    for kind, fields in (
        ("sweep", {}),
        ("scalars", {"values": {"jobs/finished": 0}}),
        ("end", {"status": "KILLED"}),
        ("resumed", {}),
        ("start", START),
        ("scalars", {"values": {"jobs/finished": 3}}),
        ("end", {"status": "FINISHED"}),
    ):
        journal.write(kind, **fields)
    journal.close()
    assert Follower(directory, destination_in(None, folder / "results")).advance().complete
    run = only(folder)
    assert run.info.status == "FINISHED"
    history = program.history(folder, run.info.run_id, "jobs/finished")
    assert sorted(history) == [(0, 0.0), (0, 3.0)]


def test_importing_the_module_does_not_import_mlflow() -> None:
    code = "import sys, harness.tracking.mlflow_writer; print('mlflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
