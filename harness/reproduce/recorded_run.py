"""Read what a run's folder says of its training. Nothing is written into it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from backends import State
from harness.config.damaged_files import reading
from harness.core.errors import ConfigError
from harness.core.file_names import FINAL_WEIGHTS, INITIAL_WEIGHTS, JOURNAL
from harness.core.model import Params
from harness.runs.checkpoint_file import read_checkpoint
from harness.runs.checksums import check_file
from harness.runs.resume import checkpoint_names
from harness.tracking.journal import Event, read
from harness.training.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """The metrics of an epoch, `(R,)` each, and the digest of the state after it."""

    values: Params
    digest: str | None  # None in a journal of an older version


@dataclass(frozen=True, kw_only=True)
class RecordedRun:
    """What a run recorded of its training."""

    folder: Path
    epochs: dict[int, Epoch]  # that the run trained itself
    final: Params  # metrics at the final weights, `(R,)` each
    data_digest: str | None
    tags: dict[str, str]  # versions, host, device, kernel, …
    finished: bool
    states: dict[int, State] = field(default_factory=dict[int, State])  # by epoch: its checkpoints

    @property
    def has_digests(self) -> bool:
        """Whether every epoch has a digest."""
        return all(epoch.digest is not None for epoch in self.epochs.values())

    @property
    def last(self) -> int:
        """The last epoch that was trained."""
        return max(self.epochs)

    def initial_weights(self) -> Params:
        """Return the weights that training began with. Raises `ConfigError`."""
        return _weights(self.folder, INITIAL_WEIGHTS)

    def final_weights(self) -> Params | None:
        """Return the weights that training ended with; None for a run that did not end."""
        path = self.folder / FINAL_WEIGHTS
        return _weights(self.folder, FINAL_WEIGHTS) if path.is_file() else None


def read_run(folder: Path, word: str, begun: int, plan: Plan) -> RecordedRun:
    """Read the run in `folder`, which trained the epochs of `plan` after `begun`.

    `word` is the run as the user named it. Raises `ConfigError` for a damaged file, and for a run
    that trained no epoch.
    """
    events, replicas = list(read(folder)), plan.config.replicas
    with reading(folder / JOURNAL):
        run = _of_events(folder, events, begun)
        shapes = {value.shape for epoch in run.epochs.values() for value in epoch.values.values()}
        if shapes - {(replicas,)}:
            raise ValueError(f"metrics of {shapes} for {replicas} replicas")
    if not run.epochs:
        raise ConfigError(f"{word}: it trained no epoch, so there is nothing to compare with.")
    return replace(run, states=_states(run, plan))


def _states(run: RecordedRun, plan: Plan) -> dict[int, State]:
    """Return the states in the checkpoints of the epochs that the run trained itself."""
    remedy = "delete it, and it is not compared"
    checkpoints = [
        read_checkpoint(run.folder, name, plan.start, plan.config.precision, remedy)
        for name in checkpoint_names(run.folder)
    ]
    return {each.epoch: each.state for each in checkpoints if each.epoch in run.epochs}


def _of_events(folder: Path, events: list[Event], begun: int) -> RecordedRun:
    epochs: dict[int, Epoch] = {}
    final: Params = {}
    tags: dict[str, str] = {}
    data_digest, finished = None, False
    for event in events:
        kind = event["kind"]
        if kind == "start":
            tags |= event["tags"]
        elif kind == "tags":
            tags |= event["values"]
        elif kind == "dataset":
            data_digest = str(event["digest"])
        elif kind == "end":
            finished = event["status"] == "FINISHED"
        elif kind == "metrics":
            values = {str(n): np.array(v, float) for n, v in event["values"].items()}
            if event["step"] > begun:
                epochs[int(event["step"])] = Epoch(values=values, digest=event.get("state"))
            elif event["step"] == 0:
                final |= values
    return RecordedRun(
        folder=folder,
        epochs=epochs,
        final=final,
        data_digest=data_digest,
        tags={str(name): str(value) for name, value in tags.items()},
        finished=finished,
    )


def _weights(folder: Path, name: str) -> Params:
    path = folder / name
    check_file(folder, name)
    if not path.is_file():
        raise ConfigError(f"{path}: is missing; copy it from the run's artifacts in MLflow.")
    with reading(path):
        return load_file(path)
