"""Train many configurations without recording them, and return two losses of each.

One process per core is used if the trainings take longer than starting a process.
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

from backends import State
from harness.config.schema import Config
from harness.core.arrays import Array
from harness.core.errors import Diverged
from harness.system.worker_processes import cores, processes
from harness.training.load_backend import load_backend
from harness.training.plan import prepare
from harness.training.trainer import train

MOST_WORKERS = 16
# Seconds of training for which processes are worth their start, which takes 1 to 2 s each.
WORTH_PROCESSES = 10.0


class LossRecorder:
    """A `Recorder` that keeps one metric of each epoch in memory and ignores all else."""

    def __init__(self, metric: str, directory: Path) -> None:
        self.metric, self.directory = metric, directory
        self.losses: list[Array] = []  # (R,) each epoch

    def write(self, kind: str, **fields: Any) -> None:
        """Ignore an event."""

    def file(self, path: str) -> None:
        """Ignore a file."""

    def checkpoint(self, path: str, epoch: int) -> None:
        """Ignore a checkpoint."""

    def sync(self) -> None:
        """Do nothing: no record is kept."""

    def metrics(self, step: int, values: dict[str, Array], state: State | None = None) -> None:
        """Keep the metric of one epoch."""
        if self.metric in values:
            self.losses.append(values[self.metric])


def losses(config: Config) -> Array:
    """Train a configuration; return its final loss and its mean loss over epochs: `(2, R)`.

    They are of the validation split or, if there is none, of the training. For the mean, a replica
    that stopped early keeps the loss at which it stopped. Raises `Diverged`.
    """
    plan = prepare(config)
    metric = loss_name(config)
    build = partial(plan.build, load_backend(config.backend))
    with (
        tempfile.TemporaryDirectory() as folder,  # for the trainer's checkpoint
        contextlib.redirect_stderr(io.StringIO()),  # hides the trainer's progress
    ):
        recorder = LossRecorder(metric, Path(folder))
        outcome = train(build, plan.start, plan.splits, plan.schedule, config, recorder)
    by_epoch = np.stack(recorder.losses)  # (epochs run, R)
    last = np.full(config.replicas, len(by_epoch) - 1)
    if outcome.best_epoch is not None and config.trainer.patience is not None:
        last = np.minimum(last, outcome.best_epoch - 1 + config.trainer.patience)
    epochs = np.minimum(np.arange(config.trainer.epochs)[:, None], last)  # (epochs, R)
    mean = np.take_along_axis(by_epoch, epochs, axis=0).mean(axis=0)
    return np.stack([outcome.values[metric], mean])


def loss_name(config: Config) -> str:
    """Return the compared metric: `val/loss`, or `train/loss` if there is no validation split."""
    return "val/loss" if config.task.val_fraction > 0 else "train/loss"


def retrain(configs: dict[int, Config], seconds: float) -> Iterator[tuple[int, Array]]:
    """Yield the key and the losses `(2, R)` of each configuration, in the order of completion.

    `seconds` is how long one training is expected to take. Raises `Diverged`, whose second argument
    is the key.
    """
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
