"""The training loop of every run. It imports no framework, and needs none to be tested.

It has a backend train one epoch at a time, measures the validation loss and accuracies, and decides
about learning rate, batches, checkpoints and when to stop.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from backends import Backend, State
from harness.config.schema import Config
from harness.console.progress import Progress
from harness.core.arrays import Array
from harness.core.errors import Pruned
from harness.core.losses import gives_logits
from harness.system import signals
from harness.training.checkpoints import Checkpoint, Checkpoints
from harness.training.divergence import check_epoch
from harness.training.early_stopping import EarlyStopping
from harness.training.metrics import evaluate
from harness.training.pruning import Pruning
from harness.training.recorder import Recorder
from harness.training.schedule import Schedule
from harness.training.splits import Splits


@dataclass(kw_only=True)
class Outcome:
    """The end of a training: the backend with the final (or best) weights, metrics and times."""

    backend: Backend
    construction_seconds: float = 0.0
    epochs: int = 0
    # Metrics by name, `(R,)` each, of the epoch whose weights are kept.
    values: dict[str, Array] = field(default_factory=dict[str, Array])
    epoch_seconds: list[float] = field(default_factory=list[float])
    steps: int = 0  # of all these epochs
    stopped_early: bool = False
    best_epoch: Array | None = None  # (R,)

    @property
    def loss(self) -> float:
        """The mean of `val/loss` over the replicas, or else of `train/loss`; NaN without both."""
        losses = self.values.get("val/loss", self.values.get("train/loss"))
        return float("nan") if losses is None else float(losses.mean())

    def timings(self) -> dict[str, float]:
        """Return the `time/…` scalars.

        `compile_s` has the seconds of one-off work: construction, and the first epoch's time beyond
        the median of the others. `train_s` has all other seconds of training, and `per_step_us` the
        microseconds of a step in the median epoch, if there are two epochs or more.
        """
        seconds, construction = self.epoch_seconds, self.construction_seconds
        if not seconds:
            return {"time/train_s": 0.0, "time/compile_s": construction}
        if len(seconds) == 1:  # its one-off work cannot be told apart
            return {"time/train_s": seconds[0], "time/compile_s": construction}
        median = float(np.median(seconds[1:]))
        one_off = max(0.0, seconds[0] - median)
        return {
            "time/train_s": sum(seconds) - one_off,
            "time/compile_s": construction + one_off,
            "time/per_step_us": 1e6 * median * len(seconds) / self.steps,
        }


def train(
    build: Callable[[State], Backend],
    start: State,
    splits: Splits,
    schedule: Schedule,
    config: Config,
    record: Recorder,
    begun: Checkpoint | None = None,
    shows_progress: bool = True,
    pruning: Pruning | None = None,
) -> Outcome:
    """Train from `start`; a resumed run begins after the epoch of the checkpoint `begun`.

    For a resumed run `start` is the checkpoint's state. Raises `Diverged` as soon as a loss is not
    finite, and `Pruned` after an epoch in which `pruning` ends the run.
    """
    settings, outcome = config.trainer, _constructed(build, start)
    chosen = {"device": outcome.backend.device, "kernel": outcome.backend.kernel}
    record.write("tags", values=chosen)
    done = outcome.epochs = 0 if begun is None else begun.epoch
    stopping = _early_stopping(config, start, begun)
    # By the last epoch of a resumed run, before its end.
    outcome.stopped_early = stopping is not None and not stopping.active.any()
    last = done if outcome.stopped_early else settings.epochs
    with (
        Checkpoints(
            record, settings.checkpoint_every, settings.keep_checkpoints, begun
        ) as checkpoints,
        Progress(settings.epochs, done, shows_progress) as progress,
    ):
        if not settings.epochs and splits.train.has_targets:  # training may go on from here
            checkpoints.keep(Checkpoint(state=start, epoch=0), np.inf)
        for epoch in range(done + 1, last + 1):
            active = np.ones(config.replicas, bool) if stopping is None else stopping.active.copy()
            losses, sizes = _train_epoch(outcome, schedule, epoch, active)
            outcome.values = _measured(outcome.backend, losses, sizes, splits, config)
            with signals.deferred():  # a stop must not mix the weights of two epochs
                state = outcome.backend.state()
            record.metrics(epoch, outcome.values, state)
            check_epoch(epoch, losses, outcome.values, config, splits)
            progress.update(epoch, outcome.values)
            with signals.deferred():
                checkpoint = _checkpoint(outcome, stopping, state)
                checkpoints.keep(checkpoint, outcome.loss)
            signals.raise_if_stopped()
            if outcome.stopped_early:
                break
            if pruning is not None and epoch < last and pruning.prunes(epoch, outcome.values):
                raise Pruned(f"pruned after epoch {epoch} of {last}")
            if stopping is not None and stopping.moves(active, checkpoint.state):
                outcome.backend = build(stopping.frozen(checkpoint.state))
    if stopping is not None and stopping.values:
        outcome.values, outcome.backend = stopping.values, build(stopping.best_state)
        outcome.best_epoch = stopping.best_epoch
    return outcome


def _constructed(build: Callable[[State], Backend], start: State) -> Outcome:
    began = time.perf_counter()
    backend = build(start)
    return Outcome(backend=backend, construction_seconds=time.perf_counter() - began)


def _early_stopping(config: Config, start: State, begun: Checkpoint | None) -> EarlyStopping | None:
    settings = config.trainer
    if settings.patience is None:
        return None
    return EarlyStopping(config.replicas, settings.patience, settings.min_delta, start, begun)


def _train_epoch(
    outcome: Outcome, schedule: Schedule, epoch: int, active: Array
) -> tuple[Array, Array]:
    """Return each step's loss `(S, R)` and samples `(S,)`; only `active` replicas learn."""
    calls = list(schedule.epoch(epoch))
    if not active.all():
        calls = [(batches, np.where(active, lr, 0.0)) for batches, lr in calls]
    began = time.perf_counter()
    losses = np.concatenate([outcome.backend.train_epoch(*call) for call in calls])
    outcome.epoch_seconds.append(time.perf_counter() - began)
    outcome.epochs, outcome.steps = epoch, outcome.steps + len(losses)
    return losses, np.concatenate([np.full(len(b), float(b.shape[2])) for b, _ in calls])


def _measured(
    backend: Backend, losses: Array, sizes: Array, splits: Splits, config: Config
) -> dict[str, Array]:
    """Return an epoch's metrics from its losses `(S, R)`; with finite ones more is measured.

    That is the validation metrics and, if all labels are 0 or 1, the training accuracy.
    """
    values, loss = {"train/loss": _epoch_loss(losses, sizes, splits, config)}, config.task.loss
    if not np.isfinite(losses).all():
        return values
    if "val" in splits.parts:
        values |= evaluate(backend, splits, "val", loss)
    if gives_logits(loss) and splits.hard_labels:
        values["train/accuracy"] = evaluate(backend, splits, "train", loss)["train/accuracy"]
    return values


def _checkpoint(outcome: Outcome, stopping: EarlyStopping | None, state: State) -> Checkpoint:
    """Return the checkpoint of the present epoch; early stopping sees the epoch here."""
    epoch = outcome.epochs
    if stopping is None:
        return Checkpoint(state=state, epoch=epoch)
    outcome.stopped_early = stopping.update(epoch, outcome.values, state)
    best, memory = stopping.best_state, stopping.memory()
    return Checkpoint(state=state, epoch=epoch, best=best, stopping=memory)


def _epoch_loss(losses: Array, sizes: Array, splits: Splits, config: Config) -> Array:
    """Average the steps' losses, `(S, R)` -> `(R,)`, and scale them to original units.

    Samples have equal weights, or batches with `semantics.epoch_loss=batches`.
    """
    weights = np.ones(len(losses)) if config.semantics.epoch_loss == "batches" else sizes
    return weights @ losses / weights.sum() * splits.scale.y_std**2
