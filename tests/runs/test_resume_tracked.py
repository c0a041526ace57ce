"""Resumed runs that MLflow has.

Decides that they are found by id and by name, fetched when their folder is gone, and logged as runs
of their own.
"""

from pathlib import Path

import pytest

from harness.config.parsing import from_hydra
from harness.core.errors import ConfigError
from harness.runs import run as run_module
from harness.runs.find import find_run
from harness.runs.identity import Identity
from harness.runs.resume import resumed
from harness.tracking.mlflow_store import client
from harness.training.plan import prepare
from tests.support import program
from tests.support.configs import composed
from tests.support.program import uses_mlflow
from tests.support.resumed_runs import SMALL, curve, plan, run, settings

pytestmark = uses_mlflow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with two runs of one name, `six·e=6`, the second one with a larger learning rate."""
    folder = program.with_database(tmp_path_factory.mktemp("tracked"))
    for lr in ("0.01", "0.02"):
        overrides = (*SMALL, "tracking=mlflow", f"results={folder}/results", f"optimizer.lr={lr}")
        config = from_hydra(composed(*overrides))
        directory = folder / f"results/runs/{lr}"
        result = run_module.run(
            config, Identity(name="six·e=6", directory=directory, overrides=list(overrides))
        )
        assert result.wait_for_address()
    return folder


def test_a_run_is_found_by_its_id_and_by_its_name(folder: Path, tmp_path: Path) -> None:
    first, second = program.tracked(folder)[:2]
    results = (f"results={folder}/results", "trainer.epochs=9")
    for word, lr in ((first.info.run_id, 0.01), ("six·e=6", 0.02)):
        found, origin = resumed(prepare(settings(tmp_path, f"resume={word}", *results)))
        assert found.config.optimizer.lr == lr
        assert origin is not None
        assert origin.run == (first if lr == 0.01 else second).info.run_id
    with pytest.raises(ConfigError, match=r"resume=sixe=6: there is no such run in .*'six·e=6'\?"):
        plan(tmp_path, "resume=sixe=6", *results)
    with pytest.raises(ConfigError, match="must be a run's directory, or its MLflow id or name"):
        plan(tmp_path, "resume=zzzzzz", *results)


def test_a_resumed_run_is_a_run_of_its_own_with_the_whole_curve(folder: Path) -> None:
    first = program.tracked(folder)[0]
    directory = folder / "results/runs/resumed"
    run(directory, f"resume={first.info.run_id}", *_on(folder), "checkpoint=epoch-00003")
    resumed = program.tracked(folder)[-1]
    assert resumed.info.run_id != first.info.run_id
    assert resumed.info.status == "FINISHED"
    assert resumed.data.tags["run_directory"] == "runs/resumed"
    assert resumed.data.tags["resumed_from"] == first.info.run_id
    assert resumed.data.tags["resumed_epoch"] == "3"
    assert resumed.data.params["resume"] == first.info.run_id
    whole = program.history(folder, first.info.run_id, "train/loss")
    logged = program.history(folder, resumed.info.run_id, "train/loss")
    assert [step for step, _ in logged] == list(range(1, 10))
    assert logged[:6] == whole
    assert "checkpoints/epoch-00009.safetensors" in program.artifacts(folder, resumed.info.run_id)


def _on(folder: Path) -> tuple[str, str]:
    return f"results={folder}/results", "trainer.epochs=9"


def test_a_run_whose_directory_is_gone_comes_back_from_mlflow(folder: Path, tmp_path: Path) -> None:
    second = program.tracked(folder)[1]
    there = folder / "results" / second.data.tags["run_directory"]
    away = there.rename(tmp_path / "away")
    try:
        run(tmp_path / "on", f"resume={second.info.run_id}", *_on(folder))
    finally:
        away.rename(there)
    assert curve(tmp_path / "on")[:6].tolist() == curve(there).tolist()
    [(_, tags)] = [(e["name"], e["tags"]) for e in program.events(tmp_path / "on", "start")]
    assert tags["resumed_from"] == second.info.run_id
    run(tmp_path / "same", f"resume={there}", *_on(folder), "tracking=journal")
    assert curve(tmp_path / "on").tolist() == curve(tmp_path / "same").tolist()


def test_a_run_without_a_directory_is_not_the_current_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = program.tracked(folder)[1]
    place = found.data.tags["run_directory"]
    there = folder / "results" / place
    mlflow = client(f"sqlite:///{folder}/results/mlflow.db")
    mlflow.delete_tag(found.info.run_id, "run_directory")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("another: run")
    asked = (found.info.run_id, folder / "results", None, ("config.yaml",), tmp_path / "fetched")
    try:
        assert find_run("resume=", *asked) == tmp_path / "fetched"
    finally:
        mlflow.set_tag(found.info.run_id, "run_directory", place)
    assert find_run("resume=", *asked) == there
