"""A training problem in full: what a backend is constructed from, and its first steps.

Two backends that are given the same problem must compute the same numbers.
"""

from dataclasses import dataclass, replace

import numpy as np

from backends import CPU, Array, Backend, BackendFactory, Data, Execution, State, TrainingSpec
from harness.config.compose import Compose, compose
from harness.config.overrides import key_of
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec
from harness.core.random_streams import stream
from harness.training.load_backend import load_backend
from harness.training.plan import prepare

Pair = tuple[BackendFactory, BackendFactory]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """All that a backend is constructed from, and the batches of the first S steps."""

    model: ModelSpec
    training: TrainingSpec
    data: Data
    state: State
    batches: list[Array]  # of each step its samples (R, B); the last of an epoch may be shorter
    lr: Array  # (S, R)
    execution: Execution = CPU

    def build(self, backend_class: BackendFactory, state: State | None = None) -> Backend:
        """Construct a backend that starts from `state`, by default from the problem's."""
        start = self.state if state is None else state
        return backend_class(self.model, self.training, self.data, start, self.execution)

    def batch(self, step: int) -> tuple[Array, Array | None]:
        """Return the inputs `(R, B, T, F)` and the mask `(R, B, T)` of one step."""
        rows, data = self.batches[step], self.data
        x = np.stack([data.x[r % len(data.x)][samples] for r, samples in enumerate(rows)])
        if data.mask is None:
            return x, None
        masks = [data.mask[r % len(data.mask)][samples] for r, samples in enumerate(rows)]
        return x, np.stack(masks)

    def train(self, backend: Backend, first: int, last: int) -> Array:
        """Train the steps from `first` to before `last`; return losses `(last - first, R)`.

        Consecutive batches of one size go into one call of the backend.
        """
        losses = []
        while first < last:
            end = first
            while end < last and self.batches[end].shape == self.batches[first].shape:
                end += 1
            rows = np.stack(self.batches[first:end])
            losses.append(backend.train_epoch(rows, self.lr[first:end]))
            first = end
        return np.concatenate(losses)


def problem_of(config: Config, steps: int) -> Problem:
    """Return the first `steps` updates of the run that `config` describes, as the trainer has them.

    They are fewer if the run has fewer. Raises `ConfigError` for a run that cannot be trained.
    """
    plan = prepare(config)
    batches: list[Array] = []
    rates: list[Array] = []
    for epoch in range(1, config.trainer.epochs + 1):
        if len(batches) >= steps:
            break
        for rows, lr in plan.schedule.epoch(epoch):
            batches += list(rows)
            rates.append(lr)
    if not batches:
        raise ConfigError("trainer.epochs=0: parity compares training; set it to 1 or more.")
    return Problem(
        model=plan.model,
        training=plan.training,
        data=plan.splits.training_data(),
        state=plan.start,
        batches=batches[:steps],
        lr=np.concatenate(rates)[:steps],
        execution=plan.execution,
    )


def with_scattered_padding(problem: Problem) -> Problem:
    """Return the problem with padding anywhere in a sequence, the same for equal problems.

    Padding may be at the first time steps, and the first of several samples is all padding. A task
    puts padding behind a sequence, but the contract allows any mask. Raises `ConfigError` if there
    is no padding.
    """
    mask = problem.data.mask
    if mask is None:
        raise ConfigError("--scatter-padding: there is no padding here; set task.lengths=min:max.")
    mask = stream(0, "scattered padding").permuted(mask, axis=2)
    if mask.shape[1] > 1:
        mask[:, 0] = False
    return replace(problem, data=replace(problem.data, mask=mask))


def configs(names: list[str], overrides: list[str], compose: Compose = compose) -> list[Config]:
    """Return one configuration per backend, equal but for the backend.

    The defaults here are float64 and no TF32, whatever the preset says: TF32 has three digits, for
    which no agreement is claimed. Raises `ConfigError`.
    """
    for word in overrides:
        if key_of(word) == "resume":
            raise ConfigError(f"{word}: parity trains several from the start; leave it out.")
    assumed = {"precision": "float64", "semantics.tf32": "off"}
    typed = {key_of(word) for word in overrides}
    shared = [*overrides, *(f"{key}={v}" for key, v in assumed.items() if key not in typed)]
    return [_config(name, names, shared, compose) for name in names]


def _config(name: str, names: list[str], shared: list[str], compose: Compose) -> Config:
    """Return the configuration of one backend; an error in its name is one of `backends=[…]`."""
    try:
        return compose([*shared, f"backend={name}"])
    except ConfigError as error:
        typed, rest = f"backend={name}: ", str(error)
        if not rest.startswith(typed):
            raise
        listed = f"backends=[{','.join(names)}]"
        raise ConfigError(f"{listed}: {name}: {rest.removeprefix(typed)}") from error


def load_classes(names: list[str], composed: list[Config]) -> dict[str, BackendFactory]:
    """Import the backends; return their classes by the names that were typed.

    These are the names of options: two options may have the same `backend.name`.
    """
    return {n: load_backend(config.backend) for n, config in zip(names, composed, strict=True)}
