"""Runs whose journals grow faster than MLflow takes them: nobody waits for them without end."""

import io
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.tracking import followed, mlflow_worker
from harness.tracking.follower import Follower
from harness.tracking.journal_writer import Journal
from harness.tracking.mlflow_store import destination_in
from harness.tracking.mlflow_worker import Server, Speaker
from harness.tracking.mlflow_writer import MlflowWriter
from harness.tracking.reader import Reader
from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.run_logs import START

pytestmark = uses_mlflow

EPOCHS = 400
PORTION = 1 << 12  # bytes: some 40 epochs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return program.with_database(tmp_path)


def journal(folder: Path, name: str, epochs: int) -> Journal:
    """The journal of a run of that many epochs, which go on."""
    results = folder / "results"
    store = destination_in(None, results).seen_from(results / "runs" / name)
    written = Journal(results / "runs" / name)
    written.write("start", store=store, **START | {"name": name})
    for epoch in range(epochs):
        written.write("metrics", step=epoch, values={"train/loss": [1.0]})
    return written


def steps(folder: Path) -> dict[str, int]:
    """How many epochs MLflow has of each run."""
    return {
        run.info.run_name: len(program.history(folder, run.info.run_id, "train/loss"))
        for run in program.tracked(folder)
    }


def test_what_is_added_while_a_journal_is_sent_waits_for_the_next_look(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = journal(folder, "growing", 1)
    numbers, batches = MlflowWriter.numbers, count(1)

    def outrun(writer: MlflowWriter, *arguments: Any) -> int:
        assert next(batches) == 1, "what is added is sent at once, and so on"
        growing.write("metrics", step=1, values={"train/loss": [1.0]})
        return numbers(writer, *arguments)

    monkeypatch.setattr(MlflowWriter, "numbers", outrun)
    directory = folder / "results/runs/growing"
    follower = Follower(directory, destination_in(None, folder / "results"))
    follower.advance()
    assert steps(folder) == {"growing": 1}
    monkeypatch.undo()
    follower.advance()
    assert steps(folder) == {"growing": 2}


def test_a_long_journal_is_sent_in_portions_and_others_have_their_turn(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "PORTION", PORTION)
    for name, epochs in (("long", EPOCHS), ("short", 3)):
        written = journal(folder, name, epochs)
        written.write("end", status="FINISHED")
        written.close()
    reader = Reader(lambda _: None)
    for name in ("long", "short"):
        reader.follow(folder / "results/runs" / name, every=0.0)
    reader.advance()
    assert [run.directory.name for run in reader.open.values()] == ["long"]
    first = steps(folder)
    assert first["short"] == 3
    assert 0 < first["long"] < EPOCHS
    for _ in range(EPOCHS):
        reader.advance()
    assert not reader.open
    assert steps(folder) == {"long": EPOCHS, "short": 3}


class Clock:
    """A clock that goes on by a second each time it is read."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 1.0
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of MLflow's process, which has no more than ten seconds of patience."""
    clock = Clock()
    monkeypatch.setattr(
        mlflow_worker, "time", SimpleNamespace(monotonic=clock.monotonic, sleep=lambda _: None)
    )
    monkeypatch.setattr(mlflow_worker, "PATIENCE", 10.0)
    monkeypatch.setattr(mlflow_worker.streams, "lead_nowhere", lambda *_: None)  # they are pytest's
    return clock


@pytest.mark.parametrize("fails", [False, True])
def test_the_process_goes_on_as_long_as_the_store_takes_something(
    folder: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, fails: bool
) -> None:
    """Each portion takes seconds of the process's patience; together it would not be enough."""
    monkeypatch.setattr(followed, "PORTION", PORTION)
    if fails:
        monkeypatch.setattr(Follower, "_send", _refuse)
    written = journal(folder, "run", EPOCHS)
    written.write("end", status="FINISHED")
    written.close()
    told = f'{{"run": "{folder}/results/runs/run"}}\n'
    Server([told], Speaker(io.StringIO())).serve()
    assert steps(folder) == ({} if fails else {"run": EPOCHS})
    assert clock.seconds > 10.0


@pytest.mark.usefixtures("clock")
def test_after_the_end_of_the_program_nothing_is_put_off(folder: Path) -> None:
    """A run that goes on may be looked at again only after minutes, so that it can train."""
    written = journal(folder, "run", 3)
    written.write("end", status="FINISHED")
    written.close()
    server = Server([], Speaker(io.StringIO()))
    server.reader.follow(folder / "results/runs/run", every=5.0)
    [run] = server.reader.open.values()
    run.due = time.monotonic() + program.PATIENCE
    server.serve()
    assert steps(folder) == {"run": 3}


def _refuse(*_: Any) -> None:
    raise ConnectionError("the store is away")
