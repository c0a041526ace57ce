"""What agreement with the NumPy reference means: four stages, each a check that can fail.

A check raises `AssertionError` that names its stage, the worst error and its place. Errors are held
against `LIMITS` by `<=`, which a NaN fails too. The reference is computed once for each case.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from backends import Array, Backend, Data, State
from backends.numpy_backend import NumpyBackend
from harness.gradient import gradients
from harness.model import Params
from harness.streams import stream
from tests.conftest import LIMITS
from tests.problems import Case, Problem

BAND_RUNS = 32


def check_names(expected: Params, actual: Params) -> None:
    """The same names with the same shapes, hence the same counts, and the same precision."""
    wanted = {name: (value.shape, value.dtype) for name, value in expected.items()}
    found = {name: (value.shape, value.dtype) for name, value in actual.items()}
    assert found == wanted, f"names: {found}, not {wanted}"


def check_forward(expected: Array, actual: Array, precision: str) -> None:
    """Outputs `(R, N, …)`, relative to the largest one."""
    _check("forward", expected, actual, LIMITS[precision].forward, np.abs(expected).max())


def check_gradients(expected: Params, actual: Params, precision: str) -> None:
    """Every gradient by name and replica, relative to its largest entry."""
    check_names(expected, actual)
    for name, value in expected.items():
        largest = np.abs(value).max(axis=tuple(range(1, value.ndim)), keepdims=True)
        _check(f"gradient of {name}", value, actual[name], LIMITS[precision].gradient, largest)


def check_losses(expected: Array, actual: Array, precision: str) -> None:
    """Every step's loss `(S, R)`, relative to itself, over as many steps as the limit is for."""
    steps = LIMITS[precision].steps
    assert len(expected) <= steps, f"losses: {precision} has a limit for {steps} steps only"
    _check("losses", expected, actual, LIMITS[precision].losses, np.abs(expected))


def check_band(expected: Array, actual: Array, precision: str, band: Array) -> None:
    """Losses of a longer run: inside the control band `(S, R)`, where it is wider than the limit
    of a short run."""
    limit = np.maximum(LIMITS[precision].losses, band)
    _check("control band", expected, actual, 1.0, np.abs(expected) * limit)


def _check(stage: str, expected: Array, actual: Array, limit: float, scale: Array) -> None:
    assert actual.shape == expected.shape, f"{stage}: shape {actual.shape}, not {expected.shape}"
    # Where the scale is 0 (the recurrent kernel's gradient at one time step) nothing may be off.
    error = np.abs(actual - expected) / np.where(scale == 0, np.finfo(float).tiny, scale)
    worst = np.unravel_index(np.argmax(error), error.shape)  # the first NaN, if there is one
    assert error[worst] <= limit, f"{stage}: off by {error[worst]:.1e} at {worst}, limit {limit:g}"


def names_agree(backend_class: type[Backend], case: Case, precision: str) -> None:
    problem = case.problem(precision)
    state = problem.build(backend_class).state()
    check_names(problem.state.params, state.params)
    assert state.slots.keys() == problem.state.slots.keys()
    for slot, values in problem.state.slots.items():
        check_names(values, state.slots[slot])


def forward_agrees(backend_class: type[Backend], case: Case, precision: str) -> None:
    check_forward(
        _outputs(NumpyBackend, case, precision), _outputs(backend_class, case, precision), precision
    )


def gradients_agree(backend_class: type[Backend], case: Case, precision: str) -> None:
    expected, actual = (_gradients(c, case, precision) for c in (NumpyBackend, backend_class))
    check_gradients(expected, actual, precision)


def losses_agree(backend_class: type[Backend], case: Case, precision: str) -> None:
    expected, actual = (_losses(c, case, precision) for c in (NumpyBackend, backend_class))
    check_losses(expected, actual, precision)


STAGES: dict[str, Callable[[type[Backend], Case, str], None]] = {
    "names": names_agree,
    "forward": forward_agrees,
    "gradient": gradients_agree,
    "losses": losses_agree,
}


def first_disagreement(backend_class: type[Backend], case: Case, precision: str) -> str | None:
    """The first stage at which a backend and the reference part, or None."""
    for stage, agree in STAGES.items():
        try:
            agree(backend_class, case, precision)
        except AssertionError:
            return stage
    return None


@cache
def _outputs(backend_class: type[Backend], case: Case, precision: str) -> Array:
    problem = case.problem(precision)
    return problem.build(backend_class).predict(problem.data.x)


@cache
def _gradients(backend_class: type[Backend], case: Case, precision: str) -> Params:
    """Gradients of the first batch, at the initial weights."""
    p = case.problem(precision)
    return gradients(backend_class, p.model, p.training, p.data, p.state, p.batches[0])


@cache
def _losses(backend_class: type[Backend], case: Case, precision: str) -> Array:
    problem = case.problem(precision)
    return problem.train(problem.build(backend_class), 0, LIMITS[precision].steps)


def control_band(problem: Problem) -> Array:
    """How far the reference strays from itself when its weights move by one unit in the last place.

    `(S, R)`: the largest relative gap in the loss up to each step, over `BAND_RUNS` runs. Before
    every step each weight goes up or down at random, as if another program had rounded it: where
    they were moved only once, at the beginning, 16 runs gave a band up to 12 times narrower than
    the gap between two correct backends. A gap inside the band says nothing against either.
    """
    R, S = len(problem.state.params["rnn.0.kernel"]), len(problem.batches)
    runs = _repeated(problem, BAND_RUNS)
    rng, state, losses = stream(0, "control band"), runs.state, []
    for step in range(S):
        params = {name: _one_ulp(value, rng) for name, value in state.params.items()}
        backend = runs.build(NumpyBackend, replace(state, params=params))
        losses.append(runs.train(backend, step, step + 1).reshape(BAND_RUNS, R))
        state = backend.state()
    expected = problem.train(problem.build(NumpyBackend), 0, S)
    gaps = np.abs(np.stack(losses) - expected[:, None]) / expected[:, None]  # (S, runs, R)
    return np.maximum.accumulate(gaps.max(axis=1))


def _one_ulp(value: Array, rng: np.random.Generator) -> Array:
    towards = np.where(rng.random(value.shape) < 0.5, -np.inf, np.inf).astype(value.dtype)
    return np.nextafter(value, towards)


def _repeated(problem: Problem, runs: int) -> Problem:
    """The problem with all its replicas repeated, run by run."""

    def wide(array: Array) -> Array:
        return np.concatenate([array] * runs)

    params = {name: wide(value) for name, value in problem.state.params.items()}
    slots = {
        slot: {name: wide(value) for name, value in values.items()}
        for slot, values in problem.state.slots.items()
    }
    return replace(
        problem,
        data=Data(wide(problem.data.x), wide(problem.data.y)),
        state=State(params, slots, problem.state.step),
        batches=[wide(rows) for rows in problem.batches],
        lr=np.concatenate([problem.lr] * runs, axis=1),
    )
