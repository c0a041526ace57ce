"""The optimiser's hyperparameters, in the form that every backend's update rules take."""

import numpy as np

from backends import Array, TrainingSpec


def numbers_of(training: TrainingSpec) -> dict[str, Array]:
    """Return the optimiser's numbers, `(R,)` or `(1,)` each, in float64.

    A rule that is off has no key: `weight_decay` where it is zero throughout, `nesterov`, `clip`.
    So a compiled program depends on the keys alone, and takes the numbers as arguments.
    """
    numbers = {n: v for n, v in training.numbers.items() if n != "weight_decay" or v.any()}
    if training.nesterov:
        numbers["nesterov"] = np.ones(1)
    if training.clip is not None:
        numbers["clip"] = np.array([training.clip])
    return numbers
