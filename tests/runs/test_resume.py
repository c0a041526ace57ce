"""A resumed run, in any backend, learns what the uninterrupted run learns.

Decides on curves in float64: the first resumed step and every epoch, optimiser memory included, and
early stopping across the border. `tests/training/test_checkpoints.py` decides which epochs are
kept.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from harness.core.errors import ConfigError
from harness.core.tolerances import LIMITS
from harness.training.checkpoints import load_checkpoint, save_checkpoint
from harness.training.load_backend import load_backend
from harness.training.plan import Plan
from tests.support.program import uses_mlflow
from tests.support.recorded_files import record_again
from tests.support.resumed_runs import CASES, NAMES, SMALL, apart, curve, plan, run

pytestmark = uses_mlflow

PAIRS = [*zip(NAMES, [*NAMES[1:], NAMES[0]], strict=True), ("numpy", "numpy")]


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
@pytest.mark.parametrize("case", CASES)
def test_the_curve_is_that_of_the_uninterrupted_run(
    uninterrupted: Any, tmp_path: Path, case: str, before: str, after: str
) -> None:
    whole = uninterrupted(case, before)
    resumed = (f"resume={whole}", "checkpoint=epoch-00003", f"backend={after}")
    run(tmp_path, *resumed)
    for metric in ("train/loss", "val/loss"):
        assert apart(curve(whole, metric), curve(tmp_path, metric)) < LIMITS["float64"].losses
    assert curve(tmp_path)[:3].tolist() == curve(whole)[:3].tolist(), "copied"
    assert curve(tmp_path).shape[0] == 6


def steps(plan: Plan, epoch: int) -> np.ndarray:
    """The loss of every step of one epoch `(S, R)`, from the plan's start."""
    backend = plan.build(load_backend(plan.config.backend))
    calls = plan.schedule.epoch(epoch)
    return np.concatenate([np.array(backend.train_epoch(*call)) for call in calls])


@pytest.mark.parametrize("backend", [name for name in NAMES if name != "numpy"])
@pytest.mark.parametrize("case", CASES)
def test_backends_agree_from_the_first_step_on(
    uninterrupted: Any, tmp_path: Path, case: str, backend: str
) -> None:
    resumed = (f"resume={uninterrupted(case, 'numpy')}", "checkpoint=epoch-00003")
    expected = steps(plan(tmp_path, *resumed), 4)
    assert len(expected) == 3
    found = steps(plan(tmp_path, *resumed, f"backend={backend}"), 4)
    assert apart(expected, found) < LIMITS["float64"].losses


@pytest.mark.parametrize("case", CASES)
def test_without_the_optimisers_memory_the_curve_is_another(
    uninterrupted: Any, tmp_path: Path, case: str
) -> None:
    """So the tests above can fail."""
    whole = uninterrupted(case, "numpy")
    copy = shutil.copytree(whole, tmp_path / "copy")
    path = copy / "checkpoints/epoch-00003.safetensors"
    found = load_checkpoint(path)
    for slot in found.state.slots.values():
        for name in slot:
            slot[name] *= 0
    save_checkpoint(path, found)
    record_again(copy, "checkpoints/epoch-00003.safetensors")
    run(tmp_path / "0", f"resume={copy}", "checkpoint=epoch-00003")
    assert apart(curve(whole)[3:], curve(tmp_path / "0")[3:]) > 1e-4


def test_early_stopping_stops_where_the_uninterrupted_run_does(tmp_path: Path) -> None:
    chosen = ("task=binary", "task.rule=random", "task.samples=100", "optimizer.lr=0.02")
    chosen += ("trainer.epochs=40", "trainer.patience=2", "replicas=4", "seed=10")
    chosen += ("trainer.checkpoint_every=1", "trainer.keep_checkpoints=null")
    chosen += ("precision=float64", "tracking=journal")
    whole = run(tmp_path / "whole", *chosen).outcome
    assert whole.best_epoch is not None
    assert whole.stopped_early
    assert len(set(whole.best_epoch)) > 1, "or else this decides little"
    between = int(whole.best_epoch.min()) + 2  # by then one replica has stopped
    assert between < whole.epochs
    for epoch in (1, between, whole.epochs - 1):
        directory = tmp_path / str(epoch)
        resumed = (f"resume={tmp_path / 'whole'}", f"checkpoint=epoch-{epoch:05d}")
        rest = run(directory, *resumed).outcome
        assert rest.epochs == whole.epochs
        assert rest.best_epoch is not None
        assert rest.best_epoch.tolist() == whole.best_epoch.tolist()
        for name, values in whole.values.items():
            assert rest.values[name].tolist() == values.tolist(), name
        one, other = (
            load_file(d / "weights/final.safetensors") for d in (tmp_path / "whole", directory)
        )
        assert all((one[name] == other[name]).all() for name in one)
    with pytest.raises(ConfigError, match=f"trainer.patience=2.*by epoch {whole.epochs};"):
        run(tmp_path / "over", f"resume={tmp_path / 'whole'}", "trainer.epochs=80")
    more = run(tmp_path / "more", f"resume={tmp_path / 'whole'}", "trainer.patience=null")
    assert more.outcome.epochs == 40


def test_a_finished_run_can_be_trained_on(uninterrupted: Any, tmp_path: Path) -> None:
    run(tmp_path / "twelve", *SMALL, *CASES["adam"], "trainer.epochs=12")
    result = run(tmp_path / "more", f"resume={uninterrupted('adam', 'numpy')}", "trainer.epochs=12")
    assert curve(tmp_path / "more").tolist() == curve(tmp_path / "twelve").tolist()
    assert result.outcome.epochs == 12


def test_precision_may_change(uninterrupted: Any, tmp_path: Path) -> None:
    whole = uninterrupted("adam", "numpy")
    run(tmp_path, f"resume={whole}", "checkpoint=epoch-00003", "precision=float32")
    assert load_file(tmp_path / "weights/final.safetensors")["head.bias"].dtype == np.float32
    assert 0 < apart(curve(whole)[3:], curve(tmp_path)[3:]) < 1e-4


def test_a_forward_pass_can_be_trained_on(tmp_path: Path) -> None:
    run(tmp_path / "whole", *SMALL)
    run(tmp_path / "forward", *SMALL, "trainer.epochs=0")
    run(tmp_path / "on", f"resume={tmp_path / 'forward'}", "trainer.epochs=6", "backend=torch")
    whole, resumed = curve(tmp_path / "whole"), curve(tmp_path / "on")
    assert apart(whole, resumed) < LIMITS["float64"].losses
    with pytest.raises(ConfigError, match=r"such as trainer\.epochs=10"):
        run(tmp_path / "again", f"resume={tmp_path / 'forward'}")
