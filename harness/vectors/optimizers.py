"""The five optimisers whose first steps are in the vectors, with their numbers and rules."""

from dataclasses import dataclass

import numpy as np

from backends import TrainingSpec
from harness.core.semantics import Semantics

STEPS = 10


@dataclass(frozen=True, kw_only=True)
class Rule:
    """An optimiser: its numbers by name, and its update rule as text with the source."""

    optimizer: str
    lr: float
    numbers: dict[str, float]
    formula: str
    source: str
    nesterov: bool = False

    def training(self, semantics: Semantics) -> TrainingSpec:
        """Return a training of the mean squared error in float64, without clipping or decay."""
        numbers = {"weight_decay": 0.0, **self.numbers}
        if self.optimizer == "sgd":
            numbers = {"momentum": 0.0, **numbers}
        arrays = {name: np.array([value]) for name, value in numbers.items() if name != "epsilon"}
        return TrainingSpec(
            loss="mse",
            optimizer=self.optimizer,
            numbers=arrays,
            nesterov=self.nesterov,
            semantics=semantics,
            precision="float64",
        )


RULES = {
    "sgd": Rule(
        optimizer="sgd", lr=0.1, numbers={}, formula="θ ← θ − lr·g", source="gradient descent"
    ),
    "momentum": Rule(
        optimizer="sgd",
        lr=0.05,
        numbers={"momentum": 0.9},
        formula="v ← momentum·v + g; θ ← θ − lr·v; v starts at 0",
        source="Polyak 1964, in the form of torch.optim.SGD",
    ),
    "nesterov": Rule(
        optimizer="sgd",
        lr=0.05,
        numbers={"momentum": 0.9},
        formula="v ← momentum·v + g; θ ← θ − lr·(g + momentum·v); v starts at 0",
        source="Sutskever et al. 2013, in the form of torch.optim.SGD",
        nesterov=True,
    ),
    "adam": Rule(
        optimizer="adam",
        lr=0.01,
        numbers={"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        formula="m ← beta1·m + (1 − beta1)·g; v ← beta2·v + (1 − beta2)·g²; "
        "θ ← θ − lr·m̂ / (√v̂ + epsilon) with m̂ = m / (1 − beta1ᵗ), v̂ = v / (1 − beta2ᵗ), "
        "t = 1 in the first step; m and v start at 0",
        source="Kingma & Ba 2015, Algorithm 1",
    ),
    "rmsprop": Rule(
        optimizer="rmsprop",
        lr=0.01,
        numbers={"rho": 0.9, "epsilon": 1e-8},
        formula="v ← rho·v + (1 − rho)·g²; θ ← θ − lr·g / (√v + epsilon); v starts at 0",
        source="Tieleman & Hinton 2012, lecture 6e, in the form of torch.optim.RMSprop",
    ),
}
