"""The harness as a contestant: a backend called through its contract, as the trainer calls it.

Drawing the epoch's batches is part of the time, as shuffling is part of a user's loop; journal,
validation and MLflow are not, since no peer has them.
"""

from itertools import count

from benchmarks.common.cases import Case
from benchmarks.common.timing import Epoch
from harness.config.compose import compose
from harness.training.load_backend import load_backend
from harness.training.plan import prepare


def overrides(
    case: Case, framework: str, kernel: str | None, threads: int, device: str = "cpu"
) -> list[str]:
    """Return the configuration of `case` as overrides for `python -m harness`."""
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
    chosen = [] if kernel is None else [f"backend.kernel={kernel}"]
    return [*(f"{key}={value}" for key, value in words.items()), *chosen]


def build(
    case: Case, framework: str, kernel: str | None, threads: int, device: str = "cpu"
) -> Epoch:
    """Return an epoch of the harness. Raises `ConfigError` for an unknown kernel."""
    config = compose(overrides(case, framework, kernel, threads, device))
    plan = prepare(config)
    backend, numbers = plan.build(load_backend(config.backend)), count(1)

    def epoch() -> None:
        for batches, lr in plan.schedule.epoch(next(numbers)):
            backend.train_epoch(batches, lr)

    return epoch
