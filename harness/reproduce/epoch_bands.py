"""The control band of each epoch: how far rounding alone may lead a run from its repetition.

It is parity's band (`harness/parity/control_band.py`), taken at the end of every epoch: copies of
the run are trained by the NumPy reference as if other programs had rounded their numbers, and twice
the widest gap between two copies is the limit. An infinite band says that rounding alone leads so
far that nothing can be judged.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from backends import Array, Backend
from backends.numpy_backend import NumpyBackend
from harness.console.progress import Count
from harness.core.model import Params
from harness.core.random_streams import stream
from harness.core.rounding import MAX_BAND, share, widest_gap
from harness.parity.bands import tensor_bands
from harness.parity.control_band import (
    BAND_RUNS,
    loss_band,
    perturbed,
    perturbed_targets,
    repeated,
    replica_count,
)
from harness.parity.problem import Problem
from harness.reproduce.repetition import Beginning
from harness.training.metrics import mean_loss
from harness.training.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Band:
    """The largest relative gaps after one epoch that rounding explains."""

    losses: Params  # `(1, R)` each, by metric
    weights: Params  # one number each, by tensor


class Bands:
    """The bands of a run's epochs, each computed when it is asked for, in their order."""

    def __init__(self, start: Beginning, last: int) -> None:
        self._bands = _bands(start, last)
        self._epoch, self._band = start.epoch, Band(losses={}, weights={})

    def at(self, epoch: int) -> Band:
        """Return the band after `epoch`; earlier ones can no longer be asked for."""
        while self._epoch < epoch:
            self._band = next(self._bands)
            self._epoch += 1
        return self._band


def epoch_problem(start: Beginning, first: int, last: int) -> Problem:
    """Return the updates of the epochs from `first` to `last`, from the run's initial state."""
    plan = start.plan
    calls = [call for epoch in range(first, last + 1) for call in plan.schedule.epoch(epoch)]
    return Problem(
        model=plan.model,
        training=plan.training,
        data=plan.splits.training_data(),
        state=plan.start,
        batches=[rows for batches, _ in calls for rows in batches],
        lr=np.concatenate([lr for _, lr in calls]),
        execution=plan.execution,
    )


def _bands(start: Beginning, last: int) -> Iterator[Band]:
    """Train the copies epoch by epoch; yield each epoch's band. See `perturbed_runs`."""
    first = epoch_problem(start, start.epoch + 1, start.epoch + 1)
    R, rng = replica_count(first), stream(0, "control band")
    runs = perturbed_targets(repeated(first, BAND_RUNS), rng, R)
    backend: Backend = runs.build(NumpyBackend)
    training, validation = np.zeros((1, R)), np.zeros((1, R))
    with Count(last - start.epoch, "control band, epochs") as count:
        for epoch in range(start.epoch + 1, last + 1):
            steps = repeated(epoch_problem(start, epoch, epoch), BAND_RUNS)
            runs = replace(runs, batches=steps.batches, lr=steps.lr)
            losses: list[Array] = []
            for step in range(len(runs.batches)):
                backend = runs.build(NumpyBackend, perturbed(backend.state(), rng, R))
                losses.append(runs.train(backend, step, step + 1)[0])
            training = np.maximum(training, loss_band(np.stack(losses))[-1:])
            bands = {"train/loss": training}
            if "val" in start.plan.splits.parts:
                validation = np.maximum(validation, _validation(start.plan, backend))
                bands["val/loss"] = np.where(validation > MAX_BAND, np.inf, validation)
            precision = start.plan.training.precision
            tensors = tensor_bands("resumed", backend.state().params, precision, BAND_RUNS)
            count.update()
            yield Band(
                losses=bands,
                weights={n: np.where(b > MAX_BAND, np.inf, b) for n, b in tensors.items()},
            )


def _validation(plan: Plan, copies: Backend) -> Array:
    """Return the widest relative gap in val/loss between two copies, `(1, R)`."""
    val, scale = plan.splits.parts["val"], plan.splits.scale
    R = plan.config.replicas

    def tiled(array: Array) -> Array:
        return np.concatenate([np.broadcast_to(array, (R, *array.shape[1:]))] * BAND_RUNS)

    mask = None if val.mask is None else tiled(val.mask)
    y = tiled(val.y)
    outputs = copies.predict(tiled(val.x), mask).astype(np.float64)
    shape = (-1,) + (1,) * (outputs.ndim - 1)
    outputs = outputs * tiled(scale.y_std).reshape(shape) + tiled(scale.y_mean).reshape(shape)
    counted = None if val.counted is None else tiled(val.counted)
    losses = mean_loss(plan.training.loss, outputs, y, counted).reshape(BAND_RUNS, -1)
    return share(widest_gap(losses), losses.min(axis=0))[None]
