"""Train the experiment of a recording in one backend as a tracked run, and keep its losses."""

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from backends import CPU, Array, Backend, BackendFactory, Data, Execution, State, TrainingSpec
from harness.config.backend import BackendConfig
from harness.config.schema import Config
from harness.core.errors import Diverged
from harness.core.model import ModelSpec
from harness.runs.identity import Identity
from harness.runs.names import single_name
from harness.runs.new_run import new_run
from harness.runs.run import Result, run
from harness.training.load_backend import load_backend


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """A run that repeats a recording. `result` is None where its loss was no longer finite."""

    words: list[str]  # of the command line that trains it
    losses: Array  # (S,) of each step
    result: Result | None


class StepLosses:
    """A backend that adds the losses of each step, `(S, R)` a call, to a list."""

    def __init__(self, backend: Backend, losses: list[Array]) -> None:
        self.backend, self.losses = backend, losses
        self.device, self.kernel = backend.device, backend.kernel

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Train, and keep the losses."""
        self.losses.append(self.backend.train_epoch(batches, lr))
        return self.losses[-1]

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return the backend's outputs."""
        return self.backend.predict(x, mask)

    def state(self) -> State:
        """Return the backend's state."""
        return self.backend.state()


def repetition(config: Config, words: list[str], recording: Path) -> Repetition:
    """Carry out the run that `words` describe. Raises `ConfigError` for one that cannot begin."""
    losses: list[Array] = []
    # Trial steps of a kernel would count as steps of the run.
    config = replace(config, trainer=replace(config.trainer, deterministic=True))

    def load(backend: BackendConfig) -> BackendFactory:
        factory = load_backend(backend)

        def build(
            model: ModelSpec,
            training: TrainingSpec,
            data: Data,
            state: State,
            execution: Execution = CPU,
        ) -> Backend:
            inner = factory(model, training, data, state, execution)
            return cast(Backend, StepLosses(inner, losses))  # which is not constructed as one

        return build

    result: Result | None = None
    with new_run(config.results) as directory:
        identity = Identity(
            name=single_name(config, words),
            directory=directory,
            overrides=words,
            tags={"repeats": str(recording.resolve())},
        )
        with suppress(Diverged):
            result = run(config, identity, load)
    steps = None if result is None else result.outcome.steps  # a gradient comes after them
    return Repetition(words=words, losses=np.concatenate(losses)[:steps, 0], result=result)
