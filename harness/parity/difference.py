"""How two answers at a stage compare: what an error is relative to, and what its limit is.

    names                      exactly
    hidden states, outputs     relative to the largest entry
    loss, losses               relative to itself
    gradients, weights, slots, relative to the largest entry of the tensor, each replica on its own
    resumed

The limit is that of `harness/core/tolerances.py`, or the control band where that is wider. A tensor
whose terms cancel holds rounding noise alone, and nothing can be said relative to noise: so what
rounding may leave of the largest entry of all tensors of the stage (and slot), `ROUNDING` units in
its last place, is always within the limit.
"""

from dataclasses import dataclass, replace

import numpy as np

from backends import Array
from harness.core.model import Params
from harness.core.tolerances import LIMITS

BY_TENSOR = ("gradients", "optimiser slots", "weights", "resumed")
ROUNDING = 16  # units in the last place


@dataclass(frozen=True)
class Difference:
    """The worst disagreement of two backends at one stage, or the first one beyond the limit."""

    stage: str
    tensor: str = ""  # empty where nothing was judged
    place: tuple[int, ...] = ()  # index of the entry
    error: float = 0.0  # relative
    ulps: float = 0.0  # the same in units in the last place of what it is relative to
    limit: float = 0.0
    note: str = ""
    left_out: tuple[str, ...] = ()  # tensors that are not judged, their band being too wide

    @property
    def judged(self) -> bool:
        return bool(self.tensor)

    @property
    def beyond(self) -> bool:
        return not (self.error == 0 or self.error <= self.limit)  # so that NaN is beyond


def compare(
    stage: str, expected: Params, actual: Params, precision: str, band: Params
) -> Difference:
    """The first tensor beyond its limit, or else the one with the largest error."""
    worst, left_out = Difference(stage, limit=limit_of(stage, precision)), []
    for found in by_tensor(stage, expected, actual, precision, band):
        if found.beyond:
            return found
        if not np.isfinite(found.limit):
            left_out.append(found.tensor)
        elif found.error >= worst.error:
            worst = found
    return replace(worst, left_out=tuple(left_out))


def by_tensor(
    stage: str, expected: Params, actual: Params, precision: str, band: Params
) -> list[Difference]:
    """The worst entry of each tensor; a single difference where the two have not the same ones."""
    if expected.keys() != actual.keys():
        odd = ", ".join(sorted(expected.keys() ^ actual.keys()))
        return [Difference(stage, odd, error=np.inf, note="only one of the two has it")]
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
        return Difference(stage, name, error=np.inf, note=f"shape and precision: {form}")
    if stage == "names":
        return Difference(stage, name)
    limit = np.full((1,) * expected.ndim, limit_of(stage, precision))
    if band is not None:
        limit = np.fmax(limit, band)
    error = relative(expected, actual, scale)
    limit = np.broadcast_to(limit, error.shape)
    share = np.where(error == 0, 0.0, error / limit)
    share = np.where(np.isfinite(limit), share, -1.0)  # not judged
    place = tuple(int(i) for i in np.unravel_index(np.argmax(share), error.shape))
    if not share[place] <= 1 and stage in ("hidden states", "losses"):
        place = _first(~(share <= 1), time_axis=2 if stage == "hidden states" else 0)
    unit, worst = np.finfo(precision).eps, float(error[place])
    return Difference(stage, name, place, worst, float(worst / unit), float(limit[place]))


def _first(beyond: Array, time_axis: int) -> tuple[int, ...]:
    """The index of an entry beyond its limit at the earliest time."""
    order = np.moveaxis(beyond, time_axis, 0)
    index = [int(i) for i in np.unravel_index(np.argmax(order), order.shape)]
    index.insert(time_axis, index.pop(0))
    return tuple(index)


def limit_of(stage: str, precision: str) -> float:
    limits = LIMITS[precision]
    if stage == "resumed":  # weights, which have all errors of the steps before behind them
        return max(limits.gradient, limits.losses)
    if stage in BY_TENSOR:
        return limits.gradient
    return limits.losses if stage == "losses" else limits.forward


def scales(stage: str, expected: Params, precision: str) -> Params:
    """What the errors of each tensor are relative to, in shapes that broadcast to the tensor's."""
    own = {name: _own_scale(stage, value) for name, value in expected.items()}
    if stage not in BY_TENSOR:
        return own
    least = least_scales(stage, expected, precision)
    return {name: np.maximum(scale, least[name]) for name, scale in own.items()}


def least_scales(stage: str, expected: Params, precision: str) -> Params:
    """`(R, 1, …)`: relative to these, `ROUNDING` units in the last place of the largest entry of
    all tensors are just within the limit."""
    own = {name: _own_scale(stage, value) for name, value in expected.items()}
    largest: dict[tuple[str, int], Array] = {}
    for name, scale in own.items():
        key = _kept_in(name), scale.size
        largest[key] = np.maximum(largest.get(key, 0.0), scale.reshape(-1))
    share = ROUNDING * np.finfo(precision).eps / limit_of(stage, precision)
    return {
        name: share * largest[_kept_in(name), scale.size].reshape(scale.shape)
        for name, scale in own.items()
    }


def _kept_in(name: str) -> str:
    """The slot of `v of rnn.0.kernel`; empty for a weight or a gradient."""
    return name.rpartition(" of ")[0]


def _own_scale(stage: str, expected: Array) -> Array:
    """The largest entry of the whole, or of each replica; or itself."""
    size = np.where(np.isfinite(expected), np.abs(expected), 0)
    if stage in ("loss", "losses"):
        return size
    if stage in ("hidden states", "outputs"):
        return size.max(keepdims=True)
    return size.max(axis=tuple(range(1, size.ndim)), keepdims=True)


def relative(expected: Array, actual: Array, scale: Array) -> Array:
    """|actual − expected| / scale. Where the scale is 0 nothing may be off; two values that are
    infinite or NaN in the same place agree."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = np.abs(actual - expected) / scale
    same = (expected == actual) | (np.isnan(expected) & np.isnan(actual))
    return np.where(same, 0.0, error)
