"""One run, started as a user starts it and read back from where a user would look.

Decides what a finished run says and leaves (its files, its rows in MLflow, what it has imported),
with and without MLflow, and that a task of the user's own needs no change here.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from safetensors.numpy import load_file

from tests.support import program
from tests.support.program import Done, uses_mlflow
from tests.support.run_folder import FILES, SENT_FILES, files, final, mse, predictions, table

pytestmark = uses_mlflow

FRAMEWORKS = {"torch", "tensorflow", "keras", "jax"}


@dataclass(frozen=True)
class Single:
    """A run of the NumPy backend, what it said and what it imported."""

    folder: Path
    done: Done
    said: str
    imported: set[str]

    @property
    def directory(self) -> Path:
        return program.directory(self.folder)

    @property
    def tracked(self) -> Any:
        [run] = program.tracked(self.folder)
        return run


def single(folder: Path, *arguments: str) -> Single:
    done = program.run(folder, *arguments, flags=("-X", "importtime"))
    lines = done.err.splitlines()
    imports = [line for line in lines if line.startswith("import time:")]
    said = [line for line in lines if not line.startswith("import time:")]
    imported = {line.split("|")[-1].strip() for line in imports}
    return Single(folder, done, "\n".join(said), imported)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Single:
    folder = program.with_database(tmp_path_factory.mktemp("tracked"))
    return single(folder, "trainer.epochs=3", "seed=5")


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Single:
    folder = tmp_path_factory.mktemp("untracked")
    return single(folder, "trainer.epochs=3", "seed=5", "tracking=journal")


def test_a_run_succeeds_and_says_where_everything_is(tracked: Single) -> None:
    assert (tracked.done.code, tracked.said) == (0, "")
    for expected in ("1,121 parameters", str(tracked.directory), tracked.tracked.info.run_id):
        assert expected in tracked.done.out


def test_a_run_leaves_exactly_the_files_that_are_promised(tracked: Single) -> None:
    assert files(tracked.directory) == FILES | SENT_FILES
    kept = program.artifacts(tracked.folder, tracked.tracked.info.run_id)
    assert kept == FILES | {"predictions.json"}, "and MLflow's table"


def test_the_configuration_is_kept_resolved(tracked: Single) -> None:
    kept = OmegaConf.load(tracked.directory / "config.yaml")
    assert (kept.seed, kept.trainer.epochs, kept.model.units) == (5, 3, 32)
    assert kept.semantics.adam_eps == 1e-8


def test_predictions_have_one_row_per_number(tracked: Single) -> None:
    rows = table(tracked.directory / "predictions.csv")
    columns = ["split", "replica", "sample", "time_step", "output", "true", "predicted"]
    assert list(rows.columns) == columns
    assert rows["split"].value_counts().to_dict() == {"train": 800, "val": 100, "test": 100}
    for split, part in rows.groupby("split"):
        assert part["sample"].tolist() == list(range(len(part))), split
    assert set(rows["replica"]) == set(rows["output"]) == {0}
    assert set(rows["time_step"]) == {9}, "the last of ten, where the network answers"


def test_parameters_add_up(tracked: Single) -> None:
    rows = table(tracked.directory / "parameters.csv")
    assert list(rows.columns) == ["name", "shape", "count", "formula"]
    assert rows.iloc[-1][["name", "count"]].tolist() == ["total", 1121]
    assert rows["count"][:-1].sum() == 1121
    weights = load_file(tracked.directory / "weights/final.safetensors")
    assert sorted(weights) == sorted(rows["name"][:-1])
    for row in rows[:-1].itertuples():
        assert "×".join(map(str, weights[row.name].shape[1:])) == row.shape


def test_weights_have_a_replica_axis_and_have_moved(tracked: Single) -> None:
    before, after = (
        load_file(tracked.directory / f"weights/{name}.safetensors")
        for name in ("initial", "final")
    )
    assert sorted(before) == sorted(after)
    for name, value in after.items():
        assert value.dtype == np.float32
        assert value.shape == before[name].shape
        assert value.shape[0] == 1
        assert (value != before[name]).any()


def test_mlflow_has_every_epoch_that_the_journal_has(tracked: Single) -> None:
    run = tracked.tracked
    for name in ("train/loss", "val/loss"):
        journalled = program.journalled(tracked.directory, name)
        assert [step for step, _ in journalled] == [1, 2, 3]
        logged = program.history(tracked.folder, run.info.run_id, name)
        assert logged == [(step, values[0]) for step, values in journalled]
    assert program.history(tracked.folder, run.info.run_id, "test/loss") == [
        (0, final(tracked.directory, "test/loss"))
    ]


def test_what_is_measured_once_is_in_mlflow(tracked: Single) -> None:
    metrics = tracked.tracked.data.metrics
    assert metrics["params/total"] == metrics["params/trainable"] == 1121
    for name in ("time/train_s", "time/compile_s", "time/per_step_us"):
        assert math.isfinite(metrics[name])
        assert metrics[name] >= 0


def test_losses_are_those_of_the_predictions(tracked: Single) -> None:
    for split in ("val", "test"):
        expected = mse(predictions(tracked.directory, split))
        assert final(tracked.directory, f"{split}/loss") == pytest.approx(expected, rel=1e-9)


def test_mlflow_says_where_a_run_came_from(tracked: Single) -> None:
    run, tags = tracked.tracked, tracked.tracked.data.tags
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "sum·numpy·rnn·s5·epochs=3"
    experiment = program.mlflow(tracked.folder).get_experiment(run.info.experiment_id)
    assert experiment.name == "sum"
    expected = {
        "task": "sum",
        "backend": "numpy",
        "cell": "rnn",
        "device": "cpu",
        "command": "python -m harness trainer.epochs=3 seed=5",
        "run_directory": f"runs/{tracked.directory.name}",
        "version.numpy": np.__version__,
    }
    assert {key: tags.get(key) for key in expected} == expected
    assert {"host", "version.torch", "version.mlflow", "mlflow.user", "mlflow.runColor"} < set(tags)
    assert run.data.params["trainer.epochs"] == "3"
    assert run.data.params["task.length"] == "10"


def test_mlflow_knows_the_data_set(tracked: Single) -> None:
    [data] = tracked.tracked.inputs.dataset_inputs
    assert data.dataset.name == "sum"
    assert len(data.dataset.digest) == 32
    assert "(1, 800, 10, 1)" in data.dataset.profile


def test_a_numpy_run_imports_no_framework(tracked: Single, untracked: Single) -> None:
    assert "matplotlib" in tracked.imported, "or else an import could be missed"
    assert not FRAMEWORKS & tracked.imported
    assert not FRAMEWORKS & untracked.imported


def test_mlflow_is_imported_in_another_process(tracked: Single) -> None:
    assert tracked.tracked.info.status == "FINISHED"
    assert "mlflow" not in tracked.imported


def test_without_tracking_there_is_no_mlflow(untracked: Single) -> None:
    assert (untracked.done.code, untracked.said) == (0, "")
    assert "mlflow" not in untracked.imported
    assert [path.name for path in (untracked.folder / "results").iterdir()] == ["runs"]
    assert files(untracked.directory) == FILES


def test_tracking_changes_no_number(tracked: Single, untracked: Single) -> None:
    for name in ("train/loss", "val/loss", "test/loss"):
        one, other = (program.journalled(r.directory, name) for r in (tracked, untracked))
        assert one == other


USERS_TASK = '''
"""Say the first number again."""
from dataclasses import dataclass
from harness.tasks import Samples, Task

@dataclass(frozen=True)
class Echo(Task):
    length: int

    def draw(self, rng):
        x = rng.uniform(size=(self.samples, self.length))
        return Samples(x[:, :, None], x[:, :1])
'''


USERS_YAML = """
_target_: my_tasks.Echo
name: echo
samples: 40
length: 4
val_fraction: 0.25
test_fraction: 0.0
scale: none
seed: null
legacy_seed: null
"""


def test_a_task_of_the_users_own_needs_no_change_here(tmp_path: Path) -> None:
    (tmp_path / "my_conf/task").mkdir(parents=True)
    (tmp_path / "my_conf/task/echo.yaml").write_text(USERS_YAML)
    (tmp_path / "my_tasks.py").write_text(USERS_TASK)
    arguments = ("--config-dir", "my_conf", "task=echo", "trainer.epochs=2", "tracking=journal")
    done = program.run(tmp_path, *arguments)
    assert (done.code, done.err) == (0, "")
    directory = program.directory(tmp_path)
    assert [step for step, _ in program.journalled(directory, "val/loss")] == [1, 2]
    assert len(predictions(directory, "train")) == 30
    assert len(predictions(directory, "val")) == 10
