"""What agreement with the NumPy reference means in tests: the stages of `harness/parity/stages.py`.

A check raises `AssertionError` that names its stage, the worst error and its place. Each backend is
traced once for each case.
"""

from functools import cache

import numpy as np

from backends import Array, Backend
from backends.numpy_backend import NumpyBackend
from harness.core.difference import compare
from harness.core.model import Params
from harness.core.tolerances import LIMITS
from harness.parity.bands import bands
from harness.parity.stages import STAGES, StageTensors, trace
from tests.support.problems import Case


def check_stage(
    stage: str, expected: Params, actual: Params, precision: str, band: Params | None = None
) -> None:
    """Every tensor of a stage, within the limit of its precision or the control band."""
    found = compare(stage, expected, actual, precision, band or {})
    assert not found.beyond, (
        f"{stage}: {found.tensor} off by {found.error:.1e} at {found.index}, "
        f"limit {found.limit:g} {found.note}"
    )


def check_names(expected: Params, actual: Params) -> None:
    """The same names with the same shapes, hence the same counts, and the same precision."""
    check_stage("names", expected, actual, "float64")


def check_forward(expected: Array, actual: Array, precision: str) -> None:
    """Outputs `(R, N, …)`, relative to the largest one."""
    check_stage("outputs", {"": expected}, {"": actual}, precision)


def check_gradients(expected: Params, actual: Params, precision: str) -> None:
    """Every gradient by name and replica, relative to its largest entry."""
    check_stage("gradients", expected, actual, precision)


def check_losses(expected: Array, actual: Array, precision: str) -> None:
    """Every step's loss `(S, R)`, relative to itself, over as many steps as the limit is for."""
    steps = LIMITS[precision].steps
    assert len(expected) <= steps, f"losses: {precision} has a limit for {steps} steps only"
    check_stage("losses", {"": expected}, {"": actual}, precision)


def check_band(expected: Array, actual: Array, precision: str, band: Array) -> None:
    """Losses of a longer run: inside the control band `(S, R)`, where it is wider than the limit
    of a short run."""
    check_stage("losses", {"": expected}, {"": actual}, precision, {"": band})


@cache
def traced(backend_class: type[Backend], case: Case, precision: str) -> StageTensors:
    return trace(backend_class, case.problem(precision, LIMITS[precision].steps)).stages


@cache
def band_of(case: Case, precision: str, stage: str) -> Params:
    return bands(case.problem(precision, LIMITS[precision].steps), stage)[stage]


def check_agreement(backend_class: type[Backend], case: Case, precision: str, stage: str) -> None:
    """One stage of a case, against the reference; the band is drawn where it is needed."""
    expected, actual = (traced(c, case, precision)[stage] for c in (NumpyBackend, backend_class))
    if stage != "names" and compare(stage, expected, actual, precision, {}).beyond:
        check_stage(stage, expected, actual, precision, band_of(case, precision, stage))
    else:
        check_stage(stage, expected, actual, precision)


def first_disagreement(backend_class: type[Backend], case: Case, precision: str) -> str | None:
    """The first stage at which a backend and the reference part, or None."""
    for stage in STAGES:
        try:
            check_agreement(backend_class, case, precision, stage)
        except AssertionError:
            return stage
    return None


def worst_errors(
    backend_class: type[Backend], cases: list[Case], precision: str
) -> dict[str, float]:
    """By stage, the largest error of all cases: for the comments beside the limits."""
    found: dict[str, float] = {}
    for case in cases:
        for stage in STAGES:
            one, other = (traced(c, case, precision)[stage] for c in (NumpyBackend, backend_class))
            error = compare(stage, one, other, precision, {}).error
            found[stage] = float(np.fmax(found.get(stage, 0.0), error))
    return found
