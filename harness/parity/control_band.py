"""The control band: how far copies of the reference diverge that differ by rounding alone.

Two correct float32 programs diverge after enough steps. So backends are said to differ only where
their gap is wider than the band, the widest gap between two perturbed copies of the reference. The
gap is between two copies, not from a copy to the reference, since two backends may both differ from
the reference, and in opposite directions.
"""

from dataclasses import dataclass, replace

import numpy as np

from backends import Array, Backend, Data, State
from backends.numpy_backend import NumpyBackend
from harness.core.model import Params
from harness.core.random_streams import stream
from harness.core.rounding import MAX_BAND, one_ulp, share, widest_gap
from harness.parity.problem import Problem

BAND_RUNS = 32


@dataclass(frozen=True)
class PerturbedRuns:
    """`BAND_RUNS` perturbed copies of a problem, trained to its last step."""

    problem: Problem  # replica r of copy c is replica c·R + r
    losses: Array  # (S, BAND_RUNS·R)
    last: Backend


def perturbed_runs(problem: Problem) -> PerturbedRuns:
    """Train copies of the reference as if other programs had rounded their numbers.

    Targets are perturbed once, weights before every step. With weights perturbed only once, at the
    beginning, 16 runs gave a band up to 12 times narrower than the gap between two correct
    backends. The first copy is not perturbed.
    """
    R, rng = replica_count(problem), stream(0, "control band")
    runs = perturbed_targets(repeated(problem, BAND_RUNS), rng, R)
    backend, losses = runs.build(NumpyBackend), []
    for step in range(len(runs.batches)):
        backend = runs.build(NumpyBackend, perturbed(backend.state(), rng, R))
        losses.append(runs.train(backend, step, step + 1)[0])
    return PerturbedRuns(runs, np.stack(losses), backend)


def control_band(problem: Problem) -> Array:
    """Return the largest relative gap in the loss, up to each step, that rounding explains.

    The result is `(S, R)`. A smaller gap between two backends is no evidence against either.
    """
    return loss_band(perturbed_runs(problem).losses)


def loss_band(losses: Array) -> Array:
    """Return the band `(S, R)` of the copies' `losses` `(S, BAND_RUNS·R)`.

    It is infinite from the step on at which it is wider than `MAX_BAND`.
    """
    copies = losses.reshape(len(losses), BAND_RUNS, -1).swapaxes(0, 1)
    band = np.maximum.accumulate(share(widest_gap(copies), copies.min(axis=0)))
    return np.where(band > MAX_BAND, np.inf, band)


def perturbed(state: State, rng: np.random.Generator, unchanged: int = 0) -> State:
    """Return the state with each weight one unit in the last place higher or lower, at random.

    The weights of the first `unchanged` replicas stay.
    """
    return replace(state, params={n: one_ulp(v, rng, unchanged) for n, v in state.params.items()})


def perturbed_targets(problem: Problem, rng: np.random.Generator, unchanged: int) -> Problem:
    """Return the problem with targets perturbed like weights, except in the first replicas.

    This perturbs the error that flows back, too: where the terms of a gradient cancel, perturbed
    weights alone do not show how much of it is rounding.
    """
    return replace(problem, data=replace(problem.data, y=one_ulp(problem.data.y, rng, unchanged)))


def replica_count(problem: Problem) -> int:
    """Return the number R of replicas of a problem."""
    return len(problem.state.params["rnn.0.kernel"])


def repeated(problem: Problem, runs: int) -> Problem:
    """Return the problem with all its replicas repeated: replica r of run c becomes c·R + r."""
    R, data = replica_count(problem), problem.data

    def tile(array: Array) -> Array:
        return np.concatenate([np.broadcast_to(array, (R, *array.shape[1:]))] * runs)

    def tile_all(params: Params) -> Params:
        return {name: tile(value) for name, value in params.items()}

    slots = {slot: tile_all(values) for slot, values in problem.state.slots.items()}
    numbers = {n: v if len(v) == 1 else tile(v) for n, v in problem.training.numbers.items()}
    return replace(
        problem,
        training=replace(problem.training, numbers=numbers),
        data=Data(tile(data.x), tile(data.y), None if data.mask is None else tile(data.mask)),
        state=State(tile_all(problem.state.params), slots, problem.state.step),
        batches=[tile(rows) for rows in problem.batches],
        lr=np.concatenate([problem.lr] * runs, axis=1),
    )
