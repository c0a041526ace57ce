"""A sweep of the real program over three backends.

Decides that it ends well, that MLflow has it as a parent run with a child for each job, and that
every job has all that a run of its own would have.
"""

from pathlib import Path

import pytest

from tests.support import program
from tests.support.program import Done, uses_mlflow
from tests.support.run_folder import FILES, SENT_FILES, files

pytestmark = uses_mlflow


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = program.with_database(tmp_path_factory.mktemp("sweep"))
    return folder, program.run(folder, "-m", "backend=numpy,torch,keras", "trainer.epochs=3")


def test_a_sweep_succeeds_and_lists_its_jobs(sweep: tuple[Path, Done]) -> None:
    folder, done = sweep
    assert done.code == 0
    assert done.out.count("FINISHED") == 3
    assert len(program.directories(folder)) == 3
    for directory in program.directories(folder):
        assert files(directory) == FILES | SENT_FILES | {"run.log"}


def test_a_sweep_is_one_parent_with_a_child_per_job(sweep: tuple[Path, Done]) -> None:
    parent, *children = program.tracked(sweep[0])
    assert "mlflow.parentRunId" not in parent.data.tags
    assert "backend" in parent.info.run_name
    assert [child.info.run_name for child in children] == ["numpy", "torch", "keras"]
    assert {c.data.tags["mlflow.parentRunId"] for c in children} == {parent.info.run_id}
    assert {r.info.status for r in (parent, *children)} == {"FINISHED"}
    assert len({r.info.experiment_id for r in (parent, *children)}) == 1
    assert parent.data.metrics["jobs/finished"] == 3
    assert parent.data.metrics["gap/largest"] < 1e-5


def test_the_jobs_of_a_sweep_are_complete(sweep: tuple[Path, Done]) -> None:
    folder, _ = sweep
    _, *children = program.tracked(folder)
    for child, directory in zip(children, program.directories(folder), strict=True):
        for name in ("train/loss", "val/loss"):
            logged = program.history(folder, child.info.run_id, name)
            journalled = program.journalled(directory, name)
            assert logged == [(step, values[0]) for step, values in journalled]
            assert [step for step, _ in logged] == [1, 2, 3]
        assert program.artifacts(folder, child.info.run_id) == FILES | {"predictions.json"}


def test_the_backends_of_a_sweep_learn_the_same(sweep: tuple[Path, Done]) -> None:
    """Loosely: `tests/backends/test_agreement.py` decides how well they agree."""
    curves = [program.journalled(d, "val/loss") for d in program.directories(sweep[0])]
    for curve in curves[1:]:
        for (_, reference), (_, values) in zip(curves[0], curve, strict=True):
            assert values == pytest.approx(reference, rel=1e-3)
