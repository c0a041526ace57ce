"""The control band: how far copies of the reference part that differ by rounding alone.

Two correct float32 programs part after enough steps. So "the backends differ" may be said only
where their gap leaves the band that moved copies of the reference draw among themselves. It is the
gap between two of the copies, not from a copy to the reference: two backends may each have strayed,
and in opposite directions.
"""

from dataclasses import dataclass, replace

import numpy as np

from backends import Array, Backend, Data, State
from backends.numpy_backend import NumpyBackend
from harness.core.model import Params
from harness.core.random_streams import stream
from harness.parity.problem import Problem

BAND_RUNS = 32
MARGIN = 2.0  # of 360 pairs of re-rounded references, one left the copies' own gap, by 5 %
WIDE = 0.1


@dataclass(frozen=True)
class MovedRuns:
    """`BAND_RUNS` copies of a problem, trained to its last step."""

    problem: Problem  # replica r of copy c is replica c·R + r
    losses: Array  # (S, BAND_RUNS·R)
    last: Backend


def moved_runs(problem: Problem) -> MovedRuns:
    """Train copies of the reference whose targets are moved once, and whose weights before every
    step, as if another program had rounded them: where weights were moved only once, at the
    beginning, 16 runs gave a band up to 12 times narrower than the gap between two correct
    backends. The first copy is not moved."""
    R, rng = replicas(problem), stream(0, "control band")
    runs = moved_targets(repeated(problem, BAND_RUNS), rng, R)
    backend, losses = runs.build(NumpyBackend), []
    for step in range(len(runs.batches)):
        backend = runs.build(NumpyBackend, moved(backend.state(), rng, R))
        losses.append(runs.train(backend, step, step + 1)[0])
    return MovedRuns(runs, np.stack(losses), backend)


def control_band(problem: Problem) -> Array:
    """`(S, R)`: the largest relative gap in the loss, up to each step, that rounding may leave
    between two backends. A gap inside the band says nothing against either."""
    return loss_band(moved_runs(problem).losses)


def loss_band(losses: Array) -> Array:
    """The band of the copies' `losses`. Where it is wider than `WIDE` it is infinite: from there
    on, nothing can be said at all."""
    copies = losses.reshape(len(losses), BAND_RUNS, -1).swapaxes(0, 1)
    band = np.maximum.accumulate(share(widest_gap(copies), copies.min(axis=0)))
    return np.where(band > WIDE, np.inf, band)


def widest_gap(copies: Array) -> Array:
    """`MARGIN` times the gap between the two copies, along the first axis, that are farthest
    apart: 0 where all are alike, be it infinite or NaN."""
    low, high = copies.min(axis=0), copies.max(axis=0)
    with np.errstate(invalid="ignore"):
        gap = MARGIN * (high - low)
    return np.where((low == high) | np.isnan(copies).all(axis=0), 0.0, gap)


def share(gap: Array, scale: Array) -> Array:
    """`gap / scale`, infinite where a copy or the scale gives no number to judge by."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(gap == 0, 0.0, gap / scale)
    return np.where(np.isnan(found), np.inf, found)


def moved(state: State, rng: np.random.Generator, still: int = 0) -> State:
    """The state with each weight one unit in the last place higher or lower, at random; those of
    the first `still` replicas stay."""
    return replace(state, params={n: _one_ulp(v, rng, still) for n, v in state.params.items()})


def moved_targets(problem: Problem, rng: np.random.Generator, still: int) -> Problem:
    """The same for the targets, and with them for the error that flows back: where a gradient's
    terms cancel, weights alone would not show what their rounding leaves of it."""
    return replace(problem, data=replace(problem.data, y=_one_ulp(problem.data.y, rng, still)))


def _one_ulp(value: Array, rng: np.random.Generator, still: int) -> Array:
    """A zero stays: no program rounds it, and what depends on its sign would say nothing more."""
    towards = np.where(rng.random(value.shape) < 0.5, -np.inf, np.inf).astype(value.dtype)
    found = np.where(value == 0, value, np.nextafter(value, towards))
    found[:still] = value[:still]
    return found


def replicas(problem: Problem) -> int:
    return len(problem.state.params["rnn.0.kernel"])


def repeated(problem: Problem, runs: int) -> Problem:
    """The problem with all its replicas repeated, run by run."""
    R, data = replicas(problem), problem.data

    def wide(array: Array) -> Array:
        return np.concatenate([np.broadcast_to(array, (R, *array.shape[1:]))] * runs)

    def all_wide(params: Params) -> Params:
        return {name: wide(value) for name, value in params.items()}

    slots = {slot: all_wide(values) for slot, values in problem.state.slots.items()}
    numbers = {n: v if len(v) == 1 else wide(v) for n, v in problem.training.numbers.items()}
    return replace(
        problem,
        training=replace(problem.training, numbers=numbers),
        data=Data(wide(data.x), wide(data.y), None if data.mask is None else wide(data.mask)),
        state=State(all_wide(problem.state.params), slots, problem.state.step),
        batches=[wide(rows) for rows in problem.batches],
        lr=np.concatenate([problem.lr] * runs, axis=1),
    )
