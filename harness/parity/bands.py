"""The control band of every stage: what rounding alone may do to each tensor of a problem.

Copies of the reference, all but one with weights and targets moved by one unit in the last place,
go through the stages as a backend does. Where a gap is beyond the table's limit, the widest gap
between two copies is the limit, if that is wider.
"""

from dataclasses import replace

import numpy as np

from backends.numpy_backend import NumpyBackend
from harness.core.model import Params
from harness.core.random_streams import stream
from harness.parity.control_band import (
    BAND_RUNS,
    WIDE,
    loss_band,
    moved,
    moved_runs,
    moved_targets,
    repeated,
    replicas,
    share,
    widest_gap,
)
from harness.parity.difference import scales
from harness.parity.problem import Problem
from harness.parity.stages import STAGES, Found, resumed, trace

COPIES = 16  # of the first step; those of all steps are dearer
ALL_STEPS = ("losses", "resumed")


def bands(problem: Problem, stage: str) -> Found:
    """A number for each tensor of `stage` and of those that are found with it, relative to what
    its errors are; for the losses `(S, R)`. It is infinite where the copies are too far apart to
    judge anything by them."""
    return _of_all_steps(problem) if stage in ALL_STEPS else _of_first_step(problem)


def _of_first_step(problem: Problem) -> Found:
    R, rng = replicas(problem), stream(0, "stage band")
    first = replace(problem, batches=problem.batches[:1], lr=problem.lr[:1])
    wide = moved_targets(repeated(first, COPIES), rng, R)
    copies = trace(NumpyBackend, wide, 0, moved(wide.state, rng, R)).found
    return {
        stage: _of_tensors(stage, copies[stage], problem.training.precision, COPIES)
        for stage in STAGES[1:]
        if stage not in ALL_STEPS
    }


def _of_all_steps(problem: Problem) -> Found:
    runs = moved_runs(problem)
    last = resumed(NumpyBackend, runs.problem, runs.last)
    tensors = _of_tensors("resumed", last, problem.training.precision, BAND_RUNS)
    return {
        "losses": {"losses": loss_band(runs.losses)},
        "resumed": {n: np.where(band > WIDE, np.inf, band) for n, band in tensors.items()},
    }


def _of_tensors(stage: str, tensors: Params, precision: str, copies: int) -> Params:
    """The band of each of `tensors`, whose first axis is all replicas of copy after copy."""
    apart = {n: v.reshape(copies, -1, *v.shape[1:]) for n, v in tensors.items() if len(v) > 1}
    sizes = scales(stage, {name: value[0] for name, value in apart.items()}, precision)
    return {name: share(widest_gap(v), sizes[name]).max() for name, v in apart.items()}
