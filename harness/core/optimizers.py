"""The optimisers' settings. Each dataclass states its update rule; the backends implement it.

Where frameworks disagree on a rule's details, the rule is a field of `harness/core/semantics.py`.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError, check_choice, check_range, check_within
from harness.core.semantics import SHARE, Semantics


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Settings that every optimiser has."""

    name: str
    lr: float
    weight_decay: float  # per unit of learning rate and step, on every parameter

    def __post_init__(self) -> None:
        check_range("optimizer.lr", self.lr, 0.0)
        check_range("optimizer.weight_decay", self.weight_decay, 0.0)

    def numbers(self, semantics: Semantics) -> dict[str, Array]:
        """Return the numbers of the update rule by name, `(1,)` each.

        The learning rate is not among them: a schedule gives it step by step.
        """
        names = {f.name for f in fields(self)} - {"name", "lr", "nesterov"}
        return {name: np.array([float(getattr(self, name))]) for name in sorted(names)}


@dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """v ← μ·v + g; θ ← θ − lr·v, or θ − lr·(g + μ·v) with Nesterov; Sutskever et al. 2013."""

    momentum: float
    nesterov: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("optimizer.name", self.name, ("sgd",))
        check_range("optimizer.momentum", self.momentum, 0.0, 1.0)
        if self.nesterov and self.momentum == 0:
            raise ConfigError("optimizer.nesterov=true: needs optimizer.momentum above 0.")


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Kingma & Ba 2015, Algorithm 1. Its epsilon is `semantics.adam_eps`."""

    beta1: float
    beta2: float

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("optimizer.name", self.name, ("adam",))
        check_within("optimizer.beta1", self.beta1, SHARE)
        check_within("optimizer.beta2", self.beta2, SHARE)


@dataclass(frozen=True, kw_only=True)
class RmsProp(Optimizer):
    """v ← ρ·v + (1−ρ)·g²; θ ← θ − lr·g / (√v + ε); Tieleman & Hinton 2012, lecture 6e."""

    rho: float | None  # null: semantics.rmsprop_rho

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("optimizer.name", self.name, ("rmsprop",))
        check_within("optimizer.rho", self.rho, SHARE)

    def numbers(self, semantics: Semantics) -> dict[str, Array]:
        """Return the numbers of the update rule; a `rho` of None is `semantics.rmsprop_rho`."""
        rho = semantics.rmsprop_rho if self.rho is None else self.rho
        return super(RmsProp, replace(self, rho=rho)).numbers(semantics)
