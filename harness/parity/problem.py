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


@dataclass(frozen=True)
class Problem:
    """`batches` holds the samples of each step, `(R, B)`, the last of an epoch shorter; `lr` the
    learning rates `(S, R)`."""

    model: ModelSpec
    training: TrainingSpec
    data: Data
    state: State
    batches: list[Array]
    lr: Array
    execution: Execution = CPU

    def build(self, backend_class: BackendFactory, state: State | None = None) -> Backend:
        """A backend that starts from `state`, by default from the problem's own."""
        start = self.state if state is None else state
        return backend_class(self.model, self.training, self.data, start, self.execution)

    def batch(self, step: int) -> tuple[Array, Array | None]:
        """The inputs `(R, B, T, F)` and the mask `(R, B, T)` of one step."""
        rows, data = self.batches[step], self.data
        x = np.stack([data.x[r % len(data.x)][own] for r, own in enumerate(rows)])
        if data.mask is None:
            return x, None
        return x, np.stack([data.mask[r % len(data.mask)][own] for r, own in enumerate(rows)])

    def train(self, backend: Backend, first: int, last: int) -> Array:
        """Losses `(last - first, R)` of those steps, batches of one size together in one call."""
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
    """The first `steps` updates of the run that `config` describes, as the trainer does them;
    fewer if the run has fewer. Raises `ConfigError` for what cannot be run."""
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
        plan.model,
        plan.training,
        plan.splits.training_data(),
        plan.start,
        batches[:steps],
        np.concatenate(rates)[:steps],
        plan.execution,
    )


def scattered(problem: Problem) -> Problem:
    """The problem with its padding anywhere in a sequence, also at the first time steps, and the
    first of several samples nothing but padding; always the same for the same problem.

    A task puts padding behind a sequence, but the contract allows any mask. Raises `ConfigError`
    where there is no padding.
    """
    mask = problem.data.mask
    if mask is None:
        raise ConfigError("--scatter-padding: there is no padding here; set task.lengths=min:max.")
    mask = stream(0, "scattered padding").permuted(mask, axis=2)
    if mask.shape[1] > 1:
        mask[:, 0] = False
    return replace(problem, data=replace(problem.data, mask=mask))


def configs(names: list[str], overrides: list[str], compose: Compose = compose) -> list[Config]:
    """One configuration per backend, the same for all. Unless told otherwise it is in float64 and
    without TF32, whatever the preset says: agreement is not claimed for three digits."""
    for word in overrides:
        if key_of(word) == "resume":
            raise ConfigError(f"{word}: parity trains several from the start; leave it out.")
    assumed = {"precision": "float64", "semantics.tf32": "off"}
    typed = {key_of(word) for word in overrides}
    shared = [*overrides, *(f"{key}={v}" for key, v in assumed.items() if key not in typed)]
    return [_config(name, names, shared, compose) for name in names]


def _config(name: str, names: list[str], shared: list[str], compose: Compose) -> Config:
    """That of one backend; what is wrong with its name is said of `backends=[…]`."""
    try:
        return compose([*shared, f"backend={name}"])
    except ConfigError as error:
        typed, rest = f"backend={name}: ", str(error)
        if not rest.startswith(typed):
            raise
        listed = f"backends=[{','.join(names)}]"
        raise ConfigError(f"{listed}: {name}: {rest.removeprefix(typed)}") from error


def load(names: list[str], composed: list[Config]) -> dict[str, BackendFactory]:
    """The classes by the names that were typed: two options may carry the same name inside."""
    return {n: load_backend(config.backend) for n, config in zip(names, composed, strict=True)}
