"""The numbers that are kept of a run.

Decides that a replica is the run of its own seed, early stopping included, and that losses are in
original units and those of the weights that are kept.
"""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from harness.runs import run as run_module
from harness.runs.identity import Identity
from harness.runs.run import Result
from harness.tracking.job_outcomes import jobs
from harness.tracking.launched_jobs import record_job
from tests.support import program
from tests.support.configs import config
from tests.support.program import uses_mlflow
from tests.support.run_folder import final, mse, predictions

pytestmark = uses_mlflow


def run(directory: Path, *overrides: str) -> Result:
    composed = config(*overrides, "tracking=journal", f"results={directory.parent}")
    return run_module.run(
        composed, Identity(name=directory.name, directory=directory, overrides=list(overrides))
    )


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_replica_is_the_run_with_its_seed(tmp_path: Path, backend: str) -> None:
    overrides = (f"backend={backend}", "trainer.epochs=3", "task.samples=200")
    together = run(tmp_path / "together", *overrides, "replicas=4", "seed=10")
    weights = load_file(tmp_path / "together/weights/final.safetensors")
    for r in range(4):
        directory = tmp_path / str(r)
        alone = run(directory, *overrides, f"seed={10 + r}")
        for name, value in load_file(directory / "weights/final.safetensors").items():
            np.testing.assert_allclose(weights[name][r], value[0], rtol=0, atol=1e-6)
        for metric in ("train/loss", "val/loss", "test/loss"):
            curve = program.journalled(tmp_path / "together", metric)
            own = program.journalled(directory, metric)
            assert [step for step, _ in curve] == [step for step, _ in own]
            shared = [values[r] for _, values in curve]
            assert shared == pytest.approx([values[0] for _, values in own], rel=1e-5)
        assert together.values["val/loss"][r] == pytest.approx(alone.values["val/loss"][0])


def test_a_replica_stops_early_as_it_would_alone(tmp_path: Path) -> None:
    overrides = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    overrides += ("trainer.epochs=40", "trainer.patience=2")
    together = run(tmp_path / "together", *overrides, "replicas=4", "seed=10")
    assert together.outcome is not None
    assert together.outcome.best_epoch is not None
    assert len(set(together.outcome.best_epoch)) > 1, "or else this decides nothing"
    weights = load_file(tmp_path / "together/weights/final.safetensors")
    for r in range(4):
        alone = run(tmp_path / str(r), *overrides, f"seed={10 + r}")
        assert alone.outcome is not None
        assert alone.outcome.best_epoch is not None
        assert alone.outcome.best_epoch[0] == together.outcome.best_epoch[r]
        for name, value in load_file(tmp_path / str(r) / "weights/final.safetensors").items():
            np.testing.assert_allclose(weights[name][r], value[0], rtol=0, atol=1e-6)
        for name, values in alone.values.items():
            assert together.values[name][r] == pytest.approx(values[0], rel=1e-5), name


def test_the_losses_of_scaled_data_are_in_original_units(tmp_path: Path) -> None:
    result = run(tmp_path / "0", "task.scale=standard", "trainer.epochs=2", "task.samples=200")
    for split in ("val", "test"):
        expected = mse(predictions(tmp_path / "0", split))
        assert final(tmp_path / "0", f"{split}/loss") == pytest.approx(expected, rel=1e-9)
        assert result.values[f"{split}/loss"] == pytest.approx([expected], rel=1e-9)
    true = predictions(tmp_path / "0", "train")["true"]
    assert true.mean() == pytest.approx(5.0, abs=0.5), "the sum of ten numbers, not a score"
    # Weights that hardly move: the loss of training is then that of its predictions.
    run(tmp_path / "1", "task.scale=standard", "trainer.epochs=1", "optimizer.lr=1e-12")
    expected = mse(predictions(tmp_path / "1", "train"))
    assert final(tmp_path / "1", "train/loss") == pytest.approx(expected, rel=1e-5)


def test_a_sweep_lists_the_loss_of_the_weights_that_are_kept(tmp_path: Path) -> None:
    overrides = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    result = run(tmp_path / "0", *overrides, "trainer.epochs=40", "trainer.patience=2")
    assert result.outcome is not None
    assert result.outcome.stopped_early
    record_job(tmp_path, 0, tmp_path / "0")
    [job] = jobs(tmp_path)
    assert job.loss == pytest.approx(result.loss)
