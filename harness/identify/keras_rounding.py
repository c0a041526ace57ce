"""What Keras on TensorFlow rounds to float32 where all else is float64, repeated in a replay.

`ops.cast` of a Python float makes a float32 tensor first. So μ, λ and the bases of Adam's powers
β₁ᵗ and β₂ᵗ have float32's digits, but not the β of its moving averages. The powers act through the
rate alone, lr·√(1−β₂ᵗ)/(1−β₁ᵗ), so the rate takes the difference, which decoupled decay must not.
"""

import numpy as np

from backends import Backend
from backends.numpy_backend import NumpyBackend
from harness.core.arrays import Array
from harness.identify.candidates import Rules
from harness.parity.problem import Problem

ROUNDED = ("momentum", "weight_decay")


class DecayByOwnRate(NumpyBackend):
    """The NumPy backend where decoupled decay is by the rate without Keras' rounding of powers."""

    def _update(self, lr: Array) -> None:
        """As the backend; `lr` `(R, 1)` is of `rates`."""
        exact = self.numbers
        if "weight_decay" in exact:
            taken = _rounding(exact["beta1"], exact["beta2"], np.array(self.step + 1))
            self.numbers = exact | {"weight_decay": exact["weight_decay"] / taken}
        super()._update(lr)
        self.numbers = exact


def rounded(name: str, value: float) -> float:
    """Return one of the optimiser's numbers as Keras computes with it."""
    return float(np.float32(value)) if name in ROUNDED else value


def rates(rules: Rules, lr: Array) -> Array:
    """Return the rates `(S,)` by which an exact Adam steps as Keras does with `lr`."""
    if not _by_powers(rules):
        return lr
    β1, β2 = np.array(rules["optimizer.beta1"]), np.array(rules["optimizer.beta2"])
    return lr * _rounding(β1, β2, np.arange(1, len(lr) + 1))


def build(problem: Problem, rules: Rules) -> Backend:
    """Return the backend that trains a problem whose rates are those of `rates`."""
    decoupled = rules["semantics.weight_decay"] == "decoupled"
    return problem.build(DecayByOwnRate if decoupled and _by_powers(rules) else NumpyBackend)


def _by_powers(rules: Rules) -> bool:
    return rules["optimizer"] == "adam" and rules["semantics.adam_eps_place"] == "uncorrected"


def _rounding(β1: Array, β2: Array, t: Array) -> Array:
    """Return what the rounding of the powers' bases makes of the rate of update t, a factor."""
    own1, own2 = (β.astype(np.float32).astype(float) for β in (β1, β2))
    return _correction(own1, own2, t) / _correction(β1, β2, t)


def _correction(β1: Array, β2: Array, t: Array) -> Array:
    return np.sqrt(1 - β2**t) / (1 - β1**t)
