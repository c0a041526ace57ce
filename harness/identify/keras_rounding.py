"""What Keras rounds to float32 where all else is float64, and how a replay repeats it.

`ops.cast` of a Python float makes a float32 tensor first. So μ, λ and the bases of Adam's powers
β₁ᵗ and β₂ᵗ have float32's digits, but not the β of its moving averages. The powers act through the
rate alone, lr·√(1−β₂ᵗ)/(1−β₁ᵗ), so the rate takes the difference. λ would need the rate as it was:
Adam with decoupled decay is not repeated exactly.
"""

import numpy as np

from harness.core.arrays import Array
from harness.identify.candidates import Rules

ROUNDED = ("momentum", "weight_decay")


def rounded(name: str, value: float) -> float:
    """Return one of the optimiser's numbers as Keras computes with it."""
    return float(np.float32(value)) if name in ROUNDED else value


def rates(rules: Rules, lr: Array) -> Array:
    """Return the rates `(S,)` by which an exact Adam steps as Keras does with `lr`."""
    if rules["optimizer"] != "adam" or rules["semantics.adam_eps_place"] != "uncorrected":
        return lr
    β1, β2 = rules["optimizer.beta1"], rules["optimizer.beta2"]
    steps = np.arange(1, len(lr) + 1)
    own = _correction(float(np.float32(β1)), float(np.float32(β2)), steps)
    return lr * (own / _correction(β1, β2, steps))


def _correction(β1: float, β2: float, t: Array) -> Array:
    return np.sqrt(1 - β2**t) / (1 - β1**t)
