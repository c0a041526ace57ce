"""Compare the tensors of two backends at a stage: what an error is relative to, and its limit.

    names                      exactly
    hidden states, outputs     relative to the largest entry
    loss, losses               relative to itself
    gradients, weights, slots, relative to the largest entry of the tensor, each replica on its own
    resumed

The limit is that of `harness/core/tolerances.py`, or the control band where that is wider. A tensor
whose terms cancel holds rounding errors alone, and an error relative to these means nothing. So
`ROUNDING` units in the last place of the largest entry of all tensors of the stage (and slot) are
always within the limit.
"""

from dataclasses import dataclass, replace

import numpy as np

from harness.core.arrays import Array
from harness.core.model import Params
from harness.core.tolerances import LIMITS

BY_TENSOR = ("gradients", "optimiser slots", "weights", "resumed")
ROUNDING = 16  # units in the last place


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The worst disagreement of two backends at one stage, or the first one beyond the limit."""

    stage: str
    tensor: str = ""  # empty where nothing was judged
    index: tuple[int, ...] = ()  # of the entry in the tensor
    error: float = 0.0  # relative
    ulps: float = 0.0  # the error in units in the last place of the size it is relative to
    limit: float = 0.0
    note: str = ""
    left_out: tuple[str, ...] = ()  # tensors that are not judged: their band is too wide

    @property
    def judged(self) -> bool:
        """Whether at least one tensor could be judged."""
        return bool(self.tensor)

    @property
    def beyond(self) -> bool:
        """Whether the error is beyond its limit; NaN is."""
        return not (self.error == 0 or self.error <= self.limit)


def compare(
    stage: str, expected: Params, actual: Params, precision: str, band: Params
) -> Difference:
    """Return the first tensor beyond its limit, or else the one with the largest error.

    `band` has the control band of some tensors, by name.
    """
    worst = Difference(stage=stage, limit=limit_of(stage, precision))
    left_out: list[str] = []
    for difference in by_tensor(stage, expected, actual, precision, band):
        if difference.beyond:
            return difference
        if not np.isfinite(difference.limit):
            left_out.append(difference.tensor)
        elif difference.error >= worst.error:
            worst = difference
    return replace(worst, left_out=tuple(left_out))


def by_tensor(
    stage: str, expected: Params, actual: Params, precision: str, band: Params
) -> list[Difference]:
    """Return the worst entry of each tensor.

    If the two do not have the same tensors, the result is a single difference that names the rest.
    """
    if expected.keys() != actual.keys():
        unmatched = ", ".join(sorted(expected.keys() ^ actual.keys()))
        return [
            Difference(
                stage=stage, tensor=unmatched, error=np.inf, note="only one of the two has it"
            )
        ]
    sizes = scales(stage, expected, precision)
    return [
        _tensor(stage, name, (value, actual[name]), sizes[name], precision, band.get(name))
        for name, value in expected.items()
    ]


def _tensor(
    stage: str,
    name: str,
    pair: tuple[Array, Array],
    scale: Array,
    precision: str,
    band: Array | None,
) -> Difference:
    expected, actual = pair
    if (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        form = f"{expected.shape} {expected.dtype} and {actual.shape} {actual.dtype}"
        return Difference(
            stage=stage, tensor=name, error=np.inf, note=f"shape and precision: {form}"
        )
    if stage == "names":
        return Difference(stage=stage, tensor=name)
    limit = np.full((1,) * expected.ndim, limit_of(stage, precision))
    if band is not None:
        limit = np.fmax(limit, band)
    error = relative(expected, actual, scale)
    limit = np.broadcast_to(limit, error.shape)
    with np.errstate(invalid="ignore"):  # an infinite error within an infinite band
        share = np.where(error == 0, 0.0, error / limit)
    share = np.where(np.isfinite(limit), share, -1.0)  # not judged
    index = tuple(int(i) for i in np.unravel_index(np.argmax(share), error.shape))
    if not share[index] <= 1 and stage in ("hidden states", "losses"):
        index = _first(~(share <= 1), time_axis=2 if stage == "hidden states" else 0)
    unit, worst = np.finfo(precision).eps, float(error[index])
    return Difference(
        stage=stage,
        tensor=name,
        index=index,
        error=worst,
        ulps=float(worst / unit),
        limit=float(limit[index]),
    )


def _first(beyond: Array, time_axis: int) -> tuple[int, ...]:
    """Return the index of the earliest entry beyond its limit."""
    order = np.moveaxis(beyond, time_axis, 0)
    index = [int(i) for i in np.unravel_index(np.argmax(order), order.shape)]
    index.insert(time_axis, index.pop(0))
    return tuple(index)


def limit_of(stage: str, precision: str) -> float:
    """Return the relative limit of a stage from the table of tolerances."""
    limits = LIMITS[precision]
    if stage == "resumed":  # weights, in which the errors of all earlier steps add up
        return max(limits.gradient, limits.losses)
    if stage in BY_TENSOR:
        return limits.gradient
    return limits.losses if stage == "losses" else limits.forward


def scales(stage: str, expected: Params, precision: str) -> Params:
    """Return the sizes that errors are relative to, in shapes that broadcast to the tensors'."""
    sizes = {name: _size(stage, value) for name, value in expected.items()}
    if stage not in BY_TENSOR:
        return sizes
    least = least_scales(stage, expected, precision)
    return {name: np.maximum(size, least[name]) for name, size in sizes.items()}


def least_scales(stage: str, expected: Params, precision: str) -> Params:
    """Return the least sizes `(R, 1, …)` that errors may be relative to.

    Relative to these, `ROUNDING` units in the last place of the largest entry of all tensors are
    just within the limit.
    """
    sizes = {name: _size(stage, value) for name, value in expected.items()}
    largest: dict[tuple[str, int], Array] = {}
    for name, size in sizes.items():
        key = _slot(name), size.size
        largest[key] = np.maximum(largest.get(key, 0.0), size.reshape(-1))
    share = ROUNDING * np.finfo(precision).eps / limit_of(stage, precision)
    return {
        name: share * largest[_slot(name), size.size].reshape(size.shape)
        for name, size in sizes.items()
    }


def _slot(name: str) -> str:
    """Return the slot `v` of `v of rnn.0.kernel`; an empty string for a weight or a gradient."""
    return name.rpartition(" of ")[0]


def _size(stage: str, expected: Array) -> Array:
    """Return the largest entry of a tensor or of each replica, or for losses each entry."""
    magnitude = np.where(np.isfinite(expected), np.abs(expected), 0)
    if stage in ("loss", "losses"):
        return magnitude
    if stage in ("hidden states", "outputs"):
        return magnitude.max(keepdims=True)
    return magnitude.max(axis=tuple(range(1, magnitude.ndim)), keepdims=True)


def relative(expected: Array, actual: Array, scale: Array) -> Array:
    """Return |actual − expected| / scale.

    Where the scale is 0, any difference is infinite. Two values that are infinite or NaN in the
    same place agree.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = np.abs(actual - expected) / scale
    same = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    return np.where(same, 0.0, error)
