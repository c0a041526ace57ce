"""All weights of a replica side by side in one vector: `(R, P)` instead of a dict of arrays.

An update rule is then a handful of operations, whatever the number of weights: on small networks
most of an update's time goes into calling operations, not into their arithmetic.
"""

import math
from functools import lru_cache
from itertools import accumulate

import numpy as np

from harness.core.arrays import Array
from harness.core.model import ModelSpec, Params, Shape, shapes


def sizes(model: ModelSpec) -> list[int]:
    """Return the number of entries that each weight has in the vector, in the order of `shapes`."""
    return [math.prod(shape) for shape in shapes(model).values()]


def flatten(params: Params, model: ModelSpec) -> Array:
    """Copy canonical arrays `(R, …)` into one array `(R, P)`."""
    return np.concatenate([params[n].reshape(len(params[n]), -1) for n in shapes(model)], axis=1)


def unflatten(flat: Array, model: ModelSpec) -> Params:
    """Return canonical arrays `(R, …)` that are views of `flat` `(R, P)`."""
    return {name: flat[:, place].reshape(len(flat), *s) for name, s, place in _places(model)}


@lru_cache
def _places(model: ModelSpec) -> list[tuple[str, Shape, slice]]:
    """Return the name and the shape of each weight, and its place in the vector.

    Each epoch asks for them: to find them takes longer than to copy a small network.
    """
    ends = list(accumulate(sizes(model)))
    places = map(slice, [0, *ends], ends)
    return [(*named, place) for named, place in zip(shapes(model).items(), places, strict=True)]
