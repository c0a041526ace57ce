"""Train configurations in memory, many of them, and keep two numbers of each run: nothing is
recorded. A training process per core is used where the trainings take longer than starting one.
"""

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.config.schema import Config
from harness.core.errors import Diverged
from harness.system.worker_processes import cores, processes
from harness.training.load_backend import load_backend
from harness.training.plan import prepare
from harness.training.trainer import train

Array = np.ndarray

MOST_WORKERS = 16
WORTH_PROCESSES = 10.0  # seconds of training that are left; starting a process takes 1 to 2


class Curve:
    """Takes the place of a run's record and keeps the losses alone."""

    def __init__(self, metric: str, directory: Path) -> None:
        self.metric, self.directory = metric, directory
        self.losses: list[Array] = []  # (R,) each epoch

    def write(self, kind: str, **fields: Any) -> None: ...

    def file(self, path: str) -> None: ...

    def metrics(self, step: int, values: dict[str, Array]) -> None:
        if self.metric in values:
            self.losses.append(values[self.metric])


def losses(config: Config) -> Array:
    """`(2, R)`: the final loss and the mean loss over all epochs, both of the validation split, or
    of the training where there is none. Raises `Diverged`.

    A replica that stopped early keeps, in the mean, the loss at which it stopped.
    """
    plan = prepare(config)
    metric = loss_name(config)
    build = partial(plan.build, load_backend(config.backend))
    with (
        tempfile.TemporaryDirectory() as folder,  # the trainer leaves a checkpoint
        contextlib.redirect_stderr(io.StringIO()),  # and shows its own progress
    ):
        curve = Curve(metric, Path(folder))
        outcome = train(build, plan.start, plan.splits, config, curve)
    by_epoch = np.stack(curve.losses)  # (epochs run, R)
    last = np.full(config.replicas, len(by_epoch) - 1)
    if outcome.best_epoch is not None and config.trainer.patience is not None:
        last = np.minimum(last, outcome.best_epoch - 1 + config.trainer.patience)
    epochs = np.minimum(np.arange(config.trainer.epochs)[:, None], last)  # (epochs, R)
    area = np.take_along_axis(by_epoch, epochs, axis=0).mean(axis=0)
    return np.stack([outcome.values[metric], area])


def loss_name(config: Config) -> str:
    """Which loss is compared."""
    return "val/loss" if config.task.val_fraction > 0 else "train/loss"


def retrain(configs: dict[int, Config], seconds: float) -> Iterator[tuple[int, Array]]:
    """The losses of each configuration by its key, as they are done; `seconds` is how long one is
    expected to take. A `Diverged` has the key as its second argument."""
    workers = min(cores(MOST_WORKERS), len(configs))
    if workers < 2 or seconds * len(configs) < WORTH_PROCESSES:
        for key, config in configs.items():
            yield _keyed(key, lambda config=config: losses(config))
        return
    pool = processes(workers)
    try:
        waiting = {pool.submit(losses, config): key for key, config in configs.items()}
        for done in as_completed(waiting):
            yield _keyed(waiting[done], done.result)
    finally:
        pool.shutdown(cancel_futures=True)


def _keyed(key: int, result: Callable[[], Array]) -> tuple[int, Array]:
    try:
        return key, result()
    except Diverged as error:
        raise Diverged(str(error), key) from error
