"""A sweep of which some jobs fail.

Decides that the others are done, that each failed job is listed with the command that repeats it,
and that exit code and MLflow say that the sweep has failed.
"""

import math
import shlex
from pathlib import Path

import pytest

from harness.core.file_names import JOURNAL
from harness.tracking.journal import last
from tests.support import program
from tests.support.program import Done, uses_mlflow

pytestmark = uses_mlflow

# The second, third, fourth and sixth of these jobs cannot be done: of two samples none is left to
# validate with, which only shows once the data are made.
FAILING = (
    *("optimizer=sgd", "trainer.epochs=2"),
    *("optimizer.lr=0.01,1e30,0.001", "task.samples=1000,2"),
)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = program.with_database(tmp_path_factory.mktemp("failing"))
    return folder, program.run(folder, "-m", *FAILING)


def test_a_failing_job_stops_no_other(failing: tuple[Path, Done]) -> None:
    folder, done = failing
    assert done.code == 1
    statuses = [last(directory, "end") for directory in program.directories(folder)]
    assert [end and end["status"] for end in statuses] == [
        *("FINISHED", "FAILED", "FAILED", "FAILED", "FINISHED", "FAILED")
    ]


def test_failing_jobs_are_listed_with_the_command_that_repeats_each(
    failing: tuple[Path, Done], tmp_path: Path
) -> None:
    _, done = failing
    assert "4 of 6 jobs did not finish" in done.out
    listed = [line.strip() for line in done.out.splitlines() if "python -m harness opt" in line]
    overrides = [shlex.split(line)[3:] for line in listed]
    assert overrides == [
        ["optimizer=sgd", "trainer.epochs=2", f"optimizer.lr={lr}", f"task.samples={samples}"]
        for lr, samples in (("0.01", 2), ("1e+30", 1000), ("1e+30", 2), ("0.001", 2))
    ]
    assert "task.samples=2: " in done.out
    repeated = program.run(tmp_path, *overrides[1], "tracking=journal")
    assert repeated.code == 1
    assert "loss not finite in epoch 1" in repeated.err
    assert "loss not finite in epoch 1" in done.out


def test_a_sweep_with_failing_jobs_has_failed(failing: tuple[Path, Done]) -> None:
    folder, _ = failing
    parent, *children = program.tracked(folder)
    assert parent.info.status == "FAILED"
    numbers = {name: parent.data.metrics[name] for name in ("jobs/finished", "jobs/failed")}
    assert numbers == {"jobs/finished": 2, "jobs/failed": 4}
    # Two keys vary, so both name a job. What was refused never was a run.
    names = [f"lr={lr}·samples=1000" for lr in ("0.01", "1e+30", "0.001")]
    assert [child.info.run_name for child in children] == names
    assert [child.info.status for child in children] == ["FINISHED", "FAILED", "FINISHED"]
    description = parent.data.tags["mlflow.note.content"]
    for name in (*names, *(f"lr={lr}·samples=2" for lr in ("0.01", "1e+30", "0.001"))):
        assert name in description


def test_a_failed_job_keeps_what_it_had_until_then(failing: tuple[Path, Done]) -> None:
    folder, _ = failing
    child = program.tracked(folder)[2]
    assert {"traceback.txt", JOURNAL} <= program.artifacts(folder, child.info.run_id)
    assert child.data.metrics["params/total"] == 1121
    [(step, value)] = program.history(folder, child.info.run_id, "train/loss")
    assert step == 1
    assert not math.isfinite(value)
