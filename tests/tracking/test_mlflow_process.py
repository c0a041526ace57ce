"""MLflow in a process of its own: what a program must survive of it, what survives a program."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config.schema import TrackingConfig
from harness.core.errors import ConfigError
from harness.core.file_names import SENT
from harness.sync import __main__ as sync
from harness.tracking import mlflow_process, mlflow_store
from harness.tracking.journal import last
from harness.tracking.mlflow_experiments import experiment_id
from harness.tracking.mlflow_writer import BYTES, ID
from harness.tracking.run_log import RunLog
from harness.tracking.sent import address, is_complete
from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.readers import readers_of
from tests.support.run_logs import begin, contents, everything, only, record_in

pytestmark = uses_mlflow

MLFLOW = TrackingConfig(
    name="mlflow", uri=None, experiment=None, flush_seconds=0.0, wait_seconds=program.PATIENCE
)
SHORT = replace(MLFLOW, wait_seconds=0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    mlflow_store.check_store.cache_clear()
    yield program.with_database(tmp_path / "my wörk")
    mlflow_process.finish()


def sent(folder: Path, name: str = "run", config: TrackingConfig = MLFLOW) -> RunLog:
    """A record whose events go through the process."""
    results = folder / "results"
    directory = results / "runs" / name
    return RunLog(directory, mlflow_process.track(config, "sum", results, directory))


def where(record: RunLog) -> dict[str, str]:
    assert record.tracking is not None
    return record.tracking.wait_for_address()


def wait_for(condition: Callable[[], Any]) -> Any:
    """Poll until something is there, and return it."""
    limit = time.monotonic() + program.PATIENCE
    while not (found := condition()):
        assert time.monotonic() < limit, "nothing happened"
        time.sleep(0.02)
    return found


def test_all_arrives_as_without_it(folder: Path, tmp_path: Path) -> None:
    with sent(folder) as record:
        everything(record)
    assert where(record)["run_id"] == only(folder).info.run_id
    other = program.with_database(tmp_path / "other")
    with record_in(other) as record:
        everything(record)
    ours, theirs = contents(folder), contents(other)
    for found in (ours, theirs):  # its picture is linked with the run's id
        assert "![loss]" in found["tags"].pop("mlflow.note.content")
        del found["tags"][ID], found["tags"][BYTES]
    assert ours == theirs


def test_its_directory_says_where_it_is(folder: Path) -> None:
    with sent(folder) as record:
        begin(record)
    assert where(record)
    assert where(record) == address(record.directory)


def test_without_mlflow_there_is_no_process(folder: Path) -> None:
    before = readers_of()  # one of an earlier test may only be ending
    with sent(
        folder, config=TrackingConfig(name="journal", uri=None, experiment=None, flush_seconds=0.0)
    ) as record:
        begin(record)
    assert record.tracking is None
    assert {*readers_of()} <= {*before}


def test_a_process_that_was_not_used_ends_with_the_program(folder: Path) -> None:
    before = {*readers_of()}
    mlflow_process.start(MLFLOW)
    [process] = wait_for(lambda: {*readers_of()} - before)
    mlflow_process.finish()
    assert not process.is_running()
    assert not (folder / "results").exists() or not [*(folder / "results").rglob(SENT)]


def test_a_process_that_was_started_early_serves_the_run(folder: Path) -> None:
    before = {*readers_of()}
    mlflow_process.start(MLFLOW)
    [process] = wait_for(lambda: {*readers_of()} - before)
    with sent(folder) as record:
        begin(record)
    assert where(record)
    assert {*readers_of()} - before == {process}


def test_a_process_that_is_killed_is_replaced_and_nothing_is_lost(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with sent(folder) as record:
        begin(record)
        record.flush()
        for epoch in range(1, 1001):
            record.metrics(epoch, {"train/loss": np.array([1.0])})
            if epoch % 400 == 0:
                [process] = wait_for(readers_of)
                process.kill()
    assert where(record)["run_id"] == only(folder).info.run_id
    assert "the process that writes to MLflow has ended (-9)" in caplog.text
    logged = program.history(folder, only(folder).info.run_id, "train/loss")
    assert [step for step, _ in logged] == [*range(1, 1001)]
    assert only(folder).info.status == "FINISHED"


def test_a_deleted_experiment_is_refused_without_mlflow(folder: Path) -> None:
    before = readers_of()
    client = program.mlflow(folder)
    client.delete_experiment(experiment_id(client, "sum", folder / "results/artifacts"))
    with pytest.raises(ConfigError, match="experiment=sum: this experiment was deleted"):
        sent(folder)
    assert {*readers_of()} <= {*before}


def test_one_that_is_deleted_meanwhile_is_told_and_the_run_goes_on(folder: Path) -> None:
    client = program.mlflow(folder)
    number = experiment_id(client, "sum", folder / "results/artifacts")
    mlflow_store.check_store(f"sqlite:///{folder.resolve()}/results/mlflow.db", "sum")
    client.delete_experiment(number)
    with sent(folder, config=SHORT) as record:
        begin(record)
    assert where(record) == {}
    upload = record.tracking
    assert upload is not None
    wait_for(lambda: "experiment=sum: this experiment was deleted" in upload.problem)
    client.restore_experiment(number)
    assert sync.main([str(record.directory)]) == 0
    assert only(folder).info.status == "FINISHED"


def test_a_program_that_is_killed_leaves_no_run_running(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    with program.running(folder, "trainer.epochs=100000", "tracking.flush_seconds=0") as process:
        directory = []

        def tracked() -> bool:
            directory[:] = program.directories(folder)
            return bool(directory) and address(directory[0]) is not None

        program.wait_until(tracked, process)
        program.wait_until(program.trains(folder, epoch=50), process)
        process.kill()
        process.communicate()
    wait_for(lambda: is_complete(directory[0]))
    [run] = program.tracked(folder)
    assert (last(directory[0], "end") or {})["status"] == "KILLED"
    assert run.info.status == "KILLED"
    assert "the process was killed" in run.data.tags["mlflow.note.content"]
    logged = program.history(folder, run.info.run_id, "train/loss")
    journalled = program.journalled(directory[0], "train/loss")
    expected = [(step, values[0]) for step, values in journalled]
    assert len(logged) >= 50
    assert logged == expected, "all that the journal has"


def test_a_new_program_completes_what_an_earlier_one_has_left(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    tiny = ("task.samples=40", "trainer.epochs=2", "model.units=4")
    done = program.run(folder, *tiny)
    assert done.code == 0, done.err
    left = program.directory(folder)
    (left / SENT).unlink()
    for path in (folder / "results").glob("mlflow.db*"):
        path.unlink()
    (folder / "results/mlflow.db").write_bytes(program.empty_database())
    endless = ("trainer.epochs=1000000", "tracking.flush_seconds=0")  # it has news all the time
    with program.running(folder, *endless, *tiny[:1]) as process:
        program.wait_until(lambda: is_complete(left), process)
        program.wait_until(lambda: len(program.directories(folder)) == 2, process)
        [new_directory] = [each for each in program.directories(folder) if each != left]
        program.wait_until((new_directory / SENT).exists, process)  # it is told of its run, too
        process.kill()
        _, err = process.communicate()
    assert "MLflow now gets 1 run of programs that ended too early" in err
    wait_for(lambda: is_complete(new_directory))
    old, new = program.tracked(folder)
    assert (old.info.status, new.info.status) == ("FINISHED", "KILLED")
