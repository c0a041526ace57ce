"""Train a recorded run again, in memory."""

import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from backends import State
from harness.config.schema import Config
from harness.core.arrays import Array
from harness.core.errors import ConfigError, Diverged
from harness.core.file_names import CHECKPOINTS, CONFIG
from harness.core.model import Params
from harness.reproduce.recorded_run import Epoch, RecordedRun
from harness.runs.resume import resumed
from harness.tracking.state_digest import state_digest
from harness.training.checkpoints import Checkpoint
from harness.training.load_backend import load_backend
from harness.training.metrics import evaluate
from harness.training.plan import Plan, prepare
from harness.training.trainer import Outcome, train


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """The state with which a run's training begins, in its plan, and what it resumed."""

    plan: Plan
    begun: Checkpoint | None = None  # that the run resumed

    @property
    def epoch(self) -> int:
        """The epochs that were done before the run began."""
        return 0 if self.begun is None else self.begun.epoch

    def with_weights(self, params: Params, word: str) -> "Beginning":
        """Return the beginning with the recorded weights. Raises `ConfigError` for other shapes."""
        start = self.plan.start
        forms = [
            {n: (v.shape, v.dtype) for n, v in each.items()} for each in (params, start.params)
        ]
        if forms[0] != forms[1]:
            raise ConfigError(
                f"{word}: the initial weights are {forms[0]}, but its config.yaml needs {forms[1]}."
            )
        return replace(self, plan=replace(self.plan, start=replace(start, params=params)))


class Enough(Exception):
    """The epochs that were asked for are done."""


class EpochRecorder:
    """A `Recorder` that keeps each epoch's metrics and digest, and the states of epochs `kept`.

    It raises `Enough` after epoch `last`.
    """

    def __init__(self, directory: Path, last: int, kept: set[int]) -> None:
        self.directory, self.last, self.kept = directory, last, kept
        self.epochs: dict[int, Epoch] = {}
        self.states: dict[int, State] = {}
        self.tags: dict[str, str] = {}

    def write(self, kind: str, **fields: Any) -> None:
        """Keep the device and the kernel; ignore any other event."""
        if kind == "tags":
            self.tags |= fields["values"]

    def file(self, path: str) -> None:
        """Ignore a file."""

    def checkpoint(self, path: str, epoch: int) -> None:
        """Ignore a checkpoint."""

    def sync(self) -> None:
        """Do nothing: no record is kept."""

    def metrics(self, step: int, values: dict[str, Array], state: State | None = None) -> None:
        """Keep the metrics and the digest of one epoch."""
        assert state is not None
        self.epochs[step] = Epoch(values=values, digest=state_digest(state))
        if step in self.kept:
            self.states[step] = state
        if step >= self.last:
            raise Enough


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """What came out of training again: see `RecordedRun`."""

    epochs: dict[int, Epoch]
    states: dict[int, State]
    tags: dict[str, str]  # device, kernel and threads
    final: Params  # empty where training was cut short
    weights: Params | None


def beginning(config: Config, folder: Path, word: str) -> Beginning:
    """Return how the run in `folder` began.

    Raises `ConfigError`, also where the run or the checkpoint that it resumed is gone.
    """
    try:
        plan = prepare(config)
    except OSError as error:
        raise ConfigError(f"{word}: its task cannot read its data: {error}.") from error
    if config.resume is None:
        return Beginning(plan=plan)
    origin = _resumed_folder(config, folder, word)
    plan, resumed_run = resumed(replace(plan, config=replace(config, resume=str(origin))))
    assert resumed_run is not None
    return Beginning(plan=plan, begun=resumed_run.checkpoint)


def _resumed_folder(config: Config, folder: Path, word: str) -> Path:
    """Return the folder of the run that was resumed; results may have moved as a whole."""
    recorded = Path(str(config.resume))
    for place in (recorded, folder / recorded.name, folder.parent / recorded.name):
        if (place / CONFIG).is_file():
            file = place / CHECKPOINTS / f"{config.checkpoint}.safetensors"
            if file.is_file():
                return place
            raise ConfigError(f"{word}: it resumed {file}, which is gone; it cannot be repeated.")
    raise ConfigError(f"{word}: it resumed {recorded}, which is gone; it cannot be repeated.")


def repeat(start: Beginning, run: RecordedRun, epochs: int | None) -> Repetition:
    """Train the run's epochs again, or only the first `epochs`."""
    plan = start.plan
    # A run that finished ends by itself. One epoch more is a difference that is seen.
    last = run.last + 1 if run.finished else run.last
    if epochs is not None:
        last = min(last, start.epoch + epochs)
    outcome: Outcome | None = None
    with tempfile.TemporaryDirectory() as folder:  # for the trainer's checkpoints
        recorder = EpochRecorder(Path(folder), last, set(run.states))
        build = partial(plan.build, load_backend(plan.config.backend))
        config = replace(plan.config, trainer=replace(plan.config.trainer, checkpoint_every=0))
        with suppress(Enough, Diverged):
            outcome = train(
                build, plan.start, plan.splits, plan.schedule, config, recorder, start.begun
            )
    final: Params = {}
    if outcome is not None and "test" in plan.splits.parts:
        final = evaluate(outcome.backend, plan.splits, "test", plan.training.loss)
    return Repetition(
        epochs=recorder.epochs,
        states=recorder.states,
        tags=recorder.tags | {"threads": str(plan.threads)},
        final=final,
        weights=None if outcome is None else outcome.backend.state().params,
    )
