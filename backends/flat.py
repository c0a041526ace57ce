"""All weights of a replica side by side in one vector: `(R, P)` instead of a dict of arrays.

An update rule is then a handful of operations, whatever the number of weights: on small networks
most of an update's time goes into calling operations, not into their arithmetic.
"""

import math

import numpy as np

from harness.core.arrays import Array
from harness.core.model import ModelSpec, Params, shapes


def sizes(model: ModelSpec) -> list[int]:
    """Return the number of entries that each weight has in the vector, in the order of `shapes`."""
    return [math.prod(shape) for shape in shapes(model).values()]


def flatten(params: Params, model: ModelSpec) -> Array:
    """Copy canonical arrays `(R, …)` into one array `(R, P)`."""
    return np.concatenate([params[n].reshape(len(params[n]), -1) for n in shapes(model)], axis=1)


def unflatten(flat: Array, model: ModelSpec) -> Params:
    """Return canonical arrays `(R, …)` that are views of `flat` `(R, P)`."""
    parts = np.split(flat, np.cumsum(sizes(model))[:-1], axis=1)
    named = zip(shapes(model).items(), parts, strict=True)
    return {name: part.reshape(len(flat), *shape) for (name, shape), part in named}
