"""Runs whose order and learning rates are given: the same in every backend, also where resumed."""

from pathlib import Path

import numpy as np
import pytest

from harness.core.tolerances import LIMITS
from harness.parity.lockstep import check
from harness.parity.problem import configs, load_classes, problem_of
from tests.support.resumed_runs import NAMES, SMALL, apart, curve, run

# 48 samples in batches of up to 16: the epochs have 3, 2 and 1 steps, with a short batch in each.
SIZES = ([16, 16, 7], [16, 5], [3])


@pytest.fixture
def given(tmp_path: Path) -> tuple[str, ...]:
    rng = np.random.default_rng(0)
    order = np.full((6, 3, 16), -1)
    for epoch, sizes in enumerate(SIZES * 2):
        for step, size in enumerate(sizes):
            order[epoch, step, :size] = rng.integers(0, 48, size)
    np.save(tmp_path / "order.npy", order)
    np.save(tmp_path / "rates.npy", np.append(0.02, rng.uniform(0, 0.02, 17)))
    files = (f"trainer.order={tmp_path}/order.npy", f"trainer.learning_rates={tmp_path}/rates.npy")
    optimizer = ("optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.02")
    return (*SMALL, *files, *optimizer, "replicas=2", "model=gru")


def test_backends_agree_on_every_step(given: tuple[str, ...]) -> None:
    composed = configs(NAMES, list(given))
    assert check(problem_of(composed[0], 12), load_classes(NAMES, composed)).agrees


@pytest.mark.parametrize(("before", "after"), [("torch", "jax"), ("keras", "numpy")])
def test_a_resumed_run_goes_on_in_the_order(
    before: str, after: str, given: tuple[str, ...], tmp_path: Path
) -> None:
    run(tmp_path / "whole", *given, f"backend={before}")
    resumed = (f"resume={tmp_path / 'whole'}", "checkpoint=epoch-00003", f"backend={after}")
    run(tmp_path / "rest", *resumed)
    whole = curve(tmp_path / "whole")
    assert apart(whole, curve(tmp_path / "rest")) < LIMITS["float64"].losses
    run(tmp_path / "other", *resumed, "trainer.order=null")
    assert apart(whole, curve(tmp_path / "other")) > 1e-3
