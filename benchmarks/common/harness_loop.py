"""The harness as a contestant: a backend called through its contract, as the trainer calls it.

Drawing the epoch's batches is part of the time, as shuffling is part of a user's loop; journal,
validation and MLflow are not, since no peer has them.
"""

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common.cases import Case
from benchmarks.common.timing import Epoch
from harness.config.compose import compose
from harness.training.kernel_choice import planned
from harness.training.load_backend import load_backend
from harness.training.plan import prepare

AUTO = "auto"  # as a long run, which measures the kernels and chooses the threads
RULE = "rule"  # as a short one
LONG = 100_000  # epochs


def overrides(
    case: Case, framework: str, kernel: str, threads: int, device: str = "cpu"
) -> list[str]:
    """Return the configuration of `case` as overrides for `python -m harness`.

    `threads` are those of the machine: with `auto` the harness chooses how many it uses.
    """
    long_run = {"threads": "auto", "trainer.epochs": LONG} if kernel == AUTO else {}
    words = {
        "task": "sum",
        "task.length": case.length,
        "task.samples": case.samples,
        "task.val_fraction": 0,
        "task.test_fraction": 0,
        "model": case.cell,
        "model.units": case.units,
        "trainer.batch_size": case.batch,
        "backend": framework,
        "replicas": case.replicas,
        "device": device,
        "threads": threads,
    }
    chosen = [] if kernel == RULE else [f"backend.kernel={kernel}"]
    return [*(f"{key}={value}" for key, value in (words | long_run).items()), *chosen]


def build(case: Case, framework: str, kernel: str, threads: int, device: str = "cpu") -> Epoch:
    """Return an epoch of the harness. Raises `ConfigError` for an unknown kernel."""
    config = compose(overrides(case, framework, kernel, threads, device))
    plan, factory, numbers = prepare(config), load_backend(config.backend), count(1)
    if kernel == AUTO:
        with TemporaryDirectory() as results:  # without what earlier runs have measured
            plan = planned(plan, factory, Path(results))
    backend = plan.build(factory)

    def epoch() -> None:
        for batches, lr in plan.schedule.epoch(next(numbers)):
            backend.train_epoch(batches, lr)

    return epoch
