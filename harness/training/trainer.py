"""The only training loop. No framework is imported here, and none is needed to test it.

It asks a backend for an epoch at a time, measures what the backend does not (validation loss,
accuracy), and decides about learning rate, batches, checkpoints and when to stop.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from backends import Backend, State
from harness.config.schema import Config
from harness.console.progress import Progress
from harness.core.arrays import Array
from harness.core.errors import Diverged
from harness.core.losses import gives_logits
from harness.system import signals
from harness.training.checkpoints import Checkpoint, Checkpoints
from harness.training.early_stopping import EarlyStopping
from harness.training.metrics import evaluate
from harness.training.recorder import Recorder
from harness.training.schedule import Schedule
from harness.training.splits import Splits


@dataclass(kw_only=True)
class Outcome:
    """How training ended: the backend with the final (or best) weights, and what it took."""

    backend: Backend
    construction_seconds: float = 0.0
    epochs: int = 0
    values: dict[str, Array] = field(default_factory=dict[str, Array])  # of the epoch that is kept
    epoch_seconds: list[float] = field(default_factory=list[float])
    steps_per_epoch: int = 0
    stopped_early: bool = False
    best_epoch: Array | None = None  # (R,)

    def timings(self) -> dict[str, float]:
        """`time/…` scalars: seconds of one-off work (construction, and what the first epoch took
        beyond a usual one), seconds in training besides, and microseconds per usual step."""
        seconds, construction = self.epoch_seconds, self.construction_seconds
        if not seconds:
            return {"time/train_s": 0.0, "time/compile_s": construction}
        if len(seconds) == 1:  # one epoch cannot tell the one-off work from the usual
            return {"time/train_s": seconds[0], "time/compile_s": construction}
        usual = float(np.median(seconds[1:]))
        beyond = max(0.0, seconds[0] - usual)
        return {
            "time/train_s": sum(seconds) - beyond,
            "time/compile_s": construction + beyond,
            "time/per_step_us": 1e6 * usual / self.steps_per_epoch,
        }


def train(
    build: Callable[[State], Backend],
    start: State,
    splits: Splits,
    config: Config,
    record: Recorder,
    begun: Checkpoint | None = None,
    shows_progress: bool = True,
) -> Outcome:
    """Train from `start`, the state of the checkpoint `begun` where a run is gone on with: then
    after its epoch. Raises `Diverged` as soon as a loss is not finite."""
    settings, loss = config.trainer, config.task.loss
    began = time.perf_counter()
    outcome = Outcome(backend=build(start))
    outcome.construction_seconds = time.perf_counter() - began
    chosen = {"device": outcome.backend.device, "kernel": outcome.backend.kernel}
    record.write("tags", values=chosen)
    schedule = Schedule(config, splits.train.x.shape[1])
    done = outcome.epochs = 0 if begun is None else begun.epoch
    stopping = None
    if settings.patience is not None:
        stopping = EarlyStopping(
            config.replicas, settings.patience, settings.min_delta, start, begun
        )
        outcome.stopped_early = not stopping.active.any()  # by its last epoch, before its end
    last = done if outcome.stopped_early else settings.epochs
    with (
        Checkpoints(record, settings.checkpoint_every, begun) as checkpoints,
        Progress(settings.epochs, done, shows_progress) as progress,
    ):
        for epoch in range(done + 1, last + 1):
            active = np.ones(config.replicas, bool) if stopping is None else stopping.active.copy()
            losses, seconds = _epoch(outcome.backend, schedule, epoch, active)
            outcome.epochs, outcome.steps_per_epoch = epoch, len(losses)
            outcome.epoch_seconds.append(seconds)
            outcome.values = {"train/loss": _epoch_loss(losses, splits, config)}
            if np.isfinite(losses).all():
                outcome.values |= _measure(outcome.backend, splits, loss)
            record.metrics(epoch, outcome.values)
            _check_finite(epoch, losses, outcome.values, config, splits)
            progress.update(epoch, outcome.values)
            with signals.deferred():  # weights and memory that are kept belong to one epoch
                checkpoint = Checkpoint(state=outcome.backend.state(), epoch=epoch)
                if stopping is not None:
                    outcome.stopped_early = stopping.update(epoch, outcome.values, checkpoint.state)
                    checkpoint.best = stopping.best_state
                    checkpoint.stopping = stopping.memory()
                checkpoints.keep(checkpoint)
            signals.raise_if_stopped()
            if outcome.stopped_early:
                break
            if stopping is not None and stopping.moves(active, checkpoint.state):
                outcome.backend = build(stopping.frozen(checkpoint.state))
    if stopping is not None and stopping.values:
        outcome.values, outcome.backend = stopping.values, build(stopping.best_state)
        outcome.best_epoch = stopping.best_epoch
    return outcome


def _epoch(backend: Backend, schedule: Schedule, epoch: int, active: Array) -> tuple[Array, float]:
    """Return each step's loss `(S, R)` and the epoch's seconds; only `active` replicas learn."""
    calls = [(batches, np.where(active, lr, 0.0)) for batches, lr in schedule.epoch(epoch)]
    began = time.perf_counter()
    losses = [backend.train_epoch(batches, lr) for batches, lr in calls]
    return np.concatenate(losses), time.perf_counter() - began


def _epoch_loss(losses: Array, splits: Splits, config: Config) -> Array:
    """`(S, R)` -> `(R,)` in original units, weighted by samples unless semantics say by batches."""
    samples, size = splits.train.x.shape[1], config.trainer.batch_size
    weights = np.full(len(losses), min(size, samples), float)
    if len(losses) * size > samples:
        weights[-1] = samples - (len(losses) - 1) * weights[0]
    if config.semantics.epoch_loss == "batches":
        weights[:] = 1.0
    return weights @ losses / weights.sum() * splits.scale.y_std**2


def _measure(backend: Backend, splits: Splits, loss: str) -> dict[str, Array]:
    """What an epoch's backend cannot know: validation, and accuracies where labels are 0 or 1."""
    values = evaluate(backend, splits, "val", loss) if "val" in splits.parts else {}
    if gives_logits(loss) and splits.hard_labels:
        values["train/accuracy"] = evaluate(backend, splits, "train", loss)["train/accuracy"]
    return values


def _check_finite(
    epoch: int, losses: Array, values: dict[str, Array], config: Config, splits: Splits
) -> None:
    if all(np.isfinite(value).all() for value in (losses, *values.values())):
        return
    every = np.concatenate([losses, *(value[None] for value in values.values())])
    broken = [config.seeds[r] for r in np.flatnonzero(~np.isfinite(every).all(axis=0))]
    who = f" (seeds {', '.join(map(str, broken))})" if config.replicas > 1 else ""
    raise Diverged(f"loss not finite in epoch {epoch}{who}: {_likely_cause(config, splits)}")


def check_measured(values: dict[str, Array], config: Config, splits: Splits) -> None:
    """Raises `Diverged` where what was measured after training, such as test/loss, is not finite:
    finite weights may be too much for a single large input."""
    broken = [name for name, value in values.items() if not np.isfinite(value).all()]
    if broken:
        raise Diverged(f"{', '.join(broken)} not finite: {_likely_cause(config, splits)}")


def _likely_cause(config: Config, splits: Splits) -> str:
    """The first thing to try, from what is known at this point."""
    largest = max(float(np.abs(part.x).max()) for part in splits.parts.values())
    if largest > 10 and config.task.scale == "none":
        return f"inputs reach {largest:g}; try task.scale=standard or a smaller optimizer.lr"
    lr = config.optimizer.lr
    clip = ", or trainer.clip=1" if config.trainer.clip is None else ""
    return f"optimizer.lr={lr:g} is likely too large; try {min(lr / 10, 0.01):g}{clip}"
