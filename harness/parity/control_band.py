"""The control band: how far the reference strays from itself when its weights are rounded anew.

Two correct float32 programs part after enough steps. So "the backends differ" may be said only
where a gap leaves the band that the reference, moved by units in the last place, draws by itself.
"""

from dataclasses import replace

import numpy as np

from backends import Array, Data, State
from backends.numpy_backend import NumpyBackend
from harness.model import Params
from harness.parity.problem import Problem
from harness.streams import stream

BAND_RUNS = 32
WIDE = 0.1


def control_band(problem: Problem) -> Array:
    """`(S, R)`: the largest relative gap in the loss up to each step, over `BAND_RUNS` runs.

    Before every step each weight goes up or down at random, as if another program had rounded it:
    where they were moved only once, at the beginning, 16 runs gave a band up to 12 times narrower
    than the gap between two correct backends. A gap inside the band says nothing against either.
    Where it is wider than `WIDE` it is infinite: from there on, nothing can be said at all.
    """
    R, S = len(problem.state.params["rnn.0.kernel"]), len(problem.batches)
    runs = repeated(problem, BAND_RUNS)
    rng, state, losses = stream(0, "control band"), runs.state, []
    for step in range(S):
        backend = runs.build(NumpyBackend, moved(state, rng))
        losses.append(runs.train(backend, step, step + 1).reshape(BAND_RUNS, R))
        state = backend.state()
    expected = problem.train(problem.build(NumpyBackend), 0, S)
    with np.errstate(invalid="ignore", divide="ignore"):  # a loss may be 0, or no longer finite
        gaps = np.abs(np.stack(losses) - expected[:, None]) / expected[:, None]  # (S, runs, R)
    band = np.maximum.accumulate(np.fmax.reduce(np.nan_to_num(gaps, nan=0.0, posinf=np.inf), 1))
    return np.where(band > WIDE, np.inf, band)


def moved(state: State, rng: np.random.Generator) -> State:
    """The state with each weight one unit in the last place higher or lower, at random."""
    return replace(state, params={n: _one_ulp(v, rng) for n, v in state.params.items()})


def _one_ulp(value: Array, rng: np.random.Generator) -> Array:
    towards = np.where(rng.random(value.shape) < 0.5, -np.inf, np.inf).astype(value.dtype)
    return np.nextafter(value, towards)


def repeated(problem: Problem, runs: int) -> Problem:
    """The problem with all its replicas repeated, run by run."""
    R, data = len(problem.state.params["rnn.0.kernel"]), problem.data

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
