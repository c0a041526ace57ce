"""What a backend computes on a problem, stage by stage, and how two backends' answers compare.

The stages are in the order in which one causes the next: a backend that is wrong at one is wrong at
all that follow, so the first that fails is the one to look at.

    names            names, shapes and precision of the weights   exactly
    hidden states    of every layer and time step                 relative to the layer's largest
    outputs          of the first batch                           relative to the largest
    loss             of the first batch                           relative to itself
    gradients        of every parameter                           relative to its largest entry
    optimiser slots  after one step                               relative to the largest entry
    weights          after one step                               relative to the largest entry
    losses           of every step                                relative to itself
    resumed          weights after one step more, by a backend    relative to the largest entry
                     built anew from the last state; outputs
                     of the last weights

All of it goes through the contract alone: hidden states are the outputs of the network cut off
after a layer, gradients come from `harness/gradient.py`.
"""

from dataclasses import dataclass, replace

import numpy as np

from backends import Array, Backend, Data, State
from backends.numpy_backend import NumpyBackend
from harness.gradient import gradients, plain_sgd
from harness.limits import LIMITS
from harness.model import Params, shapes
from harness.parity.control_band import control_band, moved, repeated
from harness.parity.problem import BackendClass, Problem
from harness.streams import stream

STAGES = (
    "names",
    "hidden states",
    "outputs",
    "loss",
    "gradients",
    "optimiser slots",
    "weights",
    "losses",
    "resumed",
)
COPIES = 16  # of the reference, which draw the band of the stages before `losses`

Found = dict[str, Params]  # stage -> what was computed: tensor -> (R, …), losses (S, R)


@dataclass(frozen=True)
class Trace:
    """What one backend computed, and on which device."""

    found: Found
    device: str


@dataclass(frozen=True)
class Difference:
    """The worst disagreement of two backends at one stage, or the first one beyond the limit."""

    stage: str
    tensor: str = ""
    place: tuple[int, ...] = ()  # index of the entry
    error: float = 0.0  # relative
    ulps: float = 0.0  # the same in units in the last place of what it is relative to
    limit: float = 0.0
    note: str = ""

    @property
    def beyond(self) -> bool:
        return not (self.error == 0 or self.error <= self.limit)  # so that NaN is beyond


def trace(
    backend_class: BackendClass, problem: Problem, step: int = 0, state: State | None = None
) -> Trace:
    """Everything that the stages compare, from `state` (by default the problem's) at `step`.

    From a given state, the later steps are left out.
    """
    start = problem.state if state is None else state
    x, mask = problem.batch(step)
    backend = problem.build(backend_class, start)
    found: Found = {"names": backend.state().params}
    if {n: v.shape[1:] for n, v in found["names"].items()} != shapes(problem.model):
        return Trace({**{stage: {} for stage in STAGES}, **found}, backend.device)
    found["outputs"] = {"outputs": backend.predict(x, mask)}
    losses = problem.train(backend, step, step + 1)
    after = backend.state()
    found["loss"] = {"loss": losses[0]}
    found["weights"] = after.params
    found["optimiser slots"] = memory(after)
    if state is None:
        losses = np.concatenate([losses, *_later_losses(problem, backend)])
        found["resumed"] = _resumed(backend_class, problem, backend)
    found["losses"] = {"losses": losses}
    found["hidden states"] = {
        f"layer {layer}": hidden_states(backend_class, problem, start, layer, x, mask)
        for layer in range(problem.model.layers)
    }
    found["gradients"] = gradients(
        backend_class, problem.model, problem.training, problem.data, start, problem.batches[step]
    )
    return Trace(found, backend.device)


def memory(state: State) -> Params:
    """The optimiser's memory by slot and name, and how many updates it has behind it."""
    found = {f"{s} of {n}": v for s, kept in state.slots.items() for n, v in kept.items()}
    return found | {"updates done": np.array([[float(state.step)]])}


def _resumed(backend_class: BackendClass, problem: Problem, backend: Backend) -> Params:
    """The last batch once more, by a backend that is built from the state of `backend`. Nothing in
    float32 over more steps than its limit holds for: weights have no control band."""
    steps, precision = len(problem.batches), problem.training.precision
    if precision == "float32" and steps > LIMITS[precision].steps:
        return {}
    anew = problem.build(backend_class, backend.state())
    problem.train(anew, steps - 1, steps)
    return {"outputs": backend.predict(*problem.batch(0)), **anew.state().params}


def _later_losses(problem: Problem, backend: Backend) -> list[Array]:
    """Of all steps but the first: those of the first epoch one by one, then epochs at a time, so
    that a backend which compiles a program for each number of steps compiles few."""
    sizes = [rows.shape for rows in problem.batches]
    short = [step for step, size in enumerate(sizes) if size != sizes[0]]
    first_epoch = short[0] + 1 if short else 1
    singles = [problem.train(backend, step, step + 1) for step in range(1, first_epoch)]
    rest = len(sizes) - first_epoch
    return singles + ([problem.train(backend, first_epoch, len(sizes))] if rest else [])


def hidden_states(
    backend_class: BackendClass,
    problem: Problem,
    state: State,
    layer: int,
    x: Array,
    mask: Array | None,
) -> Array:
    """The states `(R, N, T, U)` of one recurrent layer: outputs of the network cut off after it."""
    cut = replace(
        problem.model,
        layers=layer + 1,
        returns="every_step",
        head="none",
        outputs=problem.model.units,
    )
    params = {name: state.params[name] for name in shapes(cut) if name in state.params}
    y = np.zeros((*x.shape[:1], 1, x.shape[2], cut.units), x.dtype)
    training = plain_sgd(replace(problem.training, loss="mse"))
    return backend_class(cut, training, Data(x[:, :1], y), State(params)).predict(x, mask)


def compare(
    stage: str, expected: Params, actual: Params, precision: str, band: Params
) -> Difference:
    """The first tensor beyond its limit, or else the one with the largest error."""
    if expected.keys() != actual.keys():
        odd = ", ".join(sorted(expected.keys() ^ actual.keys()))
        return Difference(stage, odd, error=np.inf, note="only one of the two has it")
    worst = Difference(stage, limit=limit_of(stage, precision))
    for name, value in expected.items():
        found = _tensor(stage, name, value, actual[name], precision, band.get(name))
        if found.beyond:
            return found
        if found.error >= worst.error:
            worst = found
    return worst


def _tensor(
    stage: str, name: str, expected: Array, actual: Array, precision: str, band: Array | None
) -> Difference:
    if (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        form = f"{expected.shape} {expected.dtype} and {actual.shape} {actual.dtype}"
        return Difference(stage, name, error=np.inf, note=f"shape and precision: {form}")
    if stage == "names":
        return Difference(stage, name)
    limit = np.full((1,) * expected.ndim, limit_of(stage, precision))
    if band is not None:
        limit = np.fmax(limit, band)
    scale = scale_of(stage, expected)
    error = relative(expected, actual, scale)
    share = np.where(error == 0, 0.0, error / limit)
    place = tuple(int(i) for i in np.unravel_index(np.argmax(share), error.shape))
    if not share[place] <= 1 and stage in ("hidden states", "losses"):
        place = _first(~(share <= 1), time_axis=2 if stage == "hidden states" else 0)
    unit = np.finfo(precision).eps
    allowed = float(np.broadcast_to(limit, error.shape)[place])
    return Difference(stage, name, place, float(error[place]), float(error[place] / unit), allowed)


def _first(beyond: Array, time_axis: int) -> tuple[int, ...]:
    """The index of an entry beyond its limit at the earliest time."""
    order = np.moveaxis(beyond, time_axis, 0)
    index = [int(i) for i in np.unravel_index(np.argmax(order), order.shape)]
    index.insert(time_axis, index.pop(0))
    return tuple(index)


def limit_of(stage: str, precision: str) -> float:
    limits = LIMITS[precision]
    if stage in ("gradients", "optimiser slots", "weights"):
        return limits.gradient
    return limits.losses if stage in ("losses", "resumed") else limits.forward


def scale_of(stage: str, expected: Array) -> Array:
    """What errors are relative to: the largest entry of the whole, of each replica, or itself."""
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


def bands(problem: Problem) -> Found:
    """How far the reference strays when its weights move by one unit in the last place: in float32
    each tensor, and the losses of more steps than the table's limit holds for. Where that is more
    than the table's limit, it is the limit."""
    found: Found = {}
    precision = problem.training.precision
    if len(problem.batches) > LIMITS[precision].steps:
        found["losses"] = {"losses": control_band(problem)}
    if precision == "float64":
        return found
    wide = repeated(problem, COPIES)
    first = replace(wide, batches=wide.batches[:1], lr=wide.lr[:1])
    start = moved(first.state, stream(0, "stage band"))
    expected, shifted = (trace(NumpyBackend, first, 0, s).found for s in (first.state, start))
    for stage in STAGES[1 : STAGES.index("losses")]:
        found[stage] = {}
        for name, value in expected[stage].items():
            error = relative(value, shifted[stage][name], scale_of(stage, value))
            found[stage][name] = np.where(np.isfinite(error), error, 0.0).max()
    return found
