"""Random training problems, small and fully determined by their names.

Constant weights cannot see a transposed kernel, equal sizes cannot see swapped axes, and zero
biases cannot see a wrong bias: so all sizes differ, and weights and biases are random.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from backends import Array, Data, TrainingSpec
from harness.config.semantics_table import preset
from harness.core.initializers import initial_params
from harness.core.model import ModelSpec, Params
from harness.core.random_streams import batch_order, stream
from harness.core.semantics import Semantics
from harness.parity.problem import Problem
from harness.training.checkpoints import fresh_state

MATCHED = preset("matched")

NUMBERS = {
    "sgd": {"momentum": 0.0},
    "adam": {"beta1": 0.9, "beta2": 0.999},
    "rmsprop": {"rho": 0.9},
}


@dataclass(frozen=True)
class Case:
    """One configuration. Random numbers and the sizes not given here follow from `name`."""

    name: str
    cell: str = "rnn"
    activation: str = "tanh"
    layers: int = 1
    returns: str = "last"
    head: str = "dense"
    loss: str = "mse"
    optimizer: str = "sgd"
    lr: float = 0.05
    cosine: bool = False
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    clip: float | None = None
    replicas: int = 1
    units: int | None = None
    time_steps: int | None = None
    semantics: str = "matched"
    rules: tuple[tuple[str, Any], ...] = ()  # single semantics fields and their values
    short_batch: bool = True  # the fifth of an epoch, of 3 samples instead of 8
    masked: bool = False  # time steps of padding, anywhere in a sequence
    saturated: bool = False  # outputs so large that a sigmoid rounds to 0 or 1

    @cache  # noqa: B019 - a few small problems, as long-lived as the tests
    def problem(self, precision: str, steps: int = 500) -> Problem:
        """The problem with its first `steps` batches; the same numbers in either precision."""
        rng = stream(0, "problem", self.name)
        model, rules = self._model(rng), self.stated()
        N, B, T = 35 if self.short_batch else 32, 8, self.time_steps or int(rng.choice([4, 5, 6]))
        params = initial_params(model, rules, list(range(self.replicas)), "float64")
        biases = [value for name, value in params.items() if name.endswith("bias")]
        for bias in biases:
            bias += 0.3 * rng.standard_normal(bias.shape)
        if self.saturated:
            params["head.kernel"] *= 60
        x = rng.standard_normal((self.replicas, N, T, model.features))
        wide = (T, model.outputs) if model.every_step else (model.outputs,)
        y = rng.standard_normal((self.replicas, N, *wide))
        if self.loss == "bce":
            y = np.where(y > 0, 1.0, 0.0)
        mask = None
        if self.masked:
            mask = rng.random(x.shape[:3]) < 0.7
            mask[:, 0] = False  # a sequence of padding alone
            y = np.where(mask[..., None], y, 9.9) if model.every_step else y
        training = self._training(precision)
        state = fresh_state(cast(params, precision), training)
        data = Data(x.astype(precision), y.astype(precision), mask)
        batches = self._batches(steps, N, B)
        return Problem(
            model=model,
            training=training,
            data=data,
            state=state,
            batches=batches,
            lr=self._rates(steps),
        )

    def _model(self, rng: np.random.Generator) -> ModelSpec:
        F, O = (int(size) for size in rng.permutation([2, 7]))
        U = self.units or int(rng.choice([9, 10, 11]))
        O = U if self.head == "none" else O
        rules = self.stated()
        return ModelSpec(
            cell=self.cell,
            features=F,
            units=U,
            layers=self.layers,
            activation=self.activation,
            returns=self.returns,
            head=self.head,
            outputs=O,
            biases=rules.gru_biases if self.cell == "gru" else rules.biases,
            reset=rules.gru_reset,
        )

    def stated(self) -> Semantics:
        """The preset with this case's own rules in it."""
        return replace(preset(self.semantics), **dict(self.rules))

    def _training(self, precision: str) -> TrainingSpec:
        numbers = NUMBERS[self.optimizer] | {"weight_decay": self.weight_decay}
        if self.optimizer == "sgd":
            numbers["momentum"] = self.momentum
        return TrainingSpec(
            loss=self.loss,
            optimizer=self.optimizer,
            numbers={name: np.array([value]) for name, value in numbers.items()},
            nesterov=self.nesterov,
            clip=self.clip,
            semantics=self.stated(),
            precision=precision,
        )

    def _batches(self, steps: int, samples: int, size: int) -> list[Array]:
        """Of each step `(R, B)`; the last of an epoch is shorter."""
        starts = range(0, samples, size)
        epochs = range(-(-steps // len(starts)))
        seeds = list(range(self.replicas))
        orders = [batch_order(seeds, epoch, samples, shuffle=True) for epoch in epochs]
        return [order[:, start : start + size] for order in orders for start in starts][:steps]

    def _rates(self, steps: int) -> Array:
        """Each replica has its own learning rate, `(S, R)`."""
        curve = 0.505 + 0.495 * np.cos(np.pi * np.arange(steps) / 500)
        own = self.lr * (1 - np.arange(self.replicas) / 8)
        return (curve if self.cosine else np.ones(steps))[:, None] * own


def cast(params: Params, precision: str) -> Params:
    return {name: value.astype(precision) for name, value in params.items()}
