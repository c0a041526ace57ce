"""The control band of every stage: how far rounding alone may change each tensor of a problem.

Copies of the reference go through the stages as a backend does; all but one have weights and
targets perturbed by one unit in the last place. If a difference is beyond the limit of the table,
the widest gap between two copies is the limit instead, where that is wider.
"""

from dataclasses import replace

import numpy as np

from backends.numpy_backend import NumpyBackend
from harness.core.random_streams import stream
from harness.core.rounding import MAX_BAND, tensor_bands
from harness.parity.control_band import (
    BAND_RUNS,
    loss_band,
    perturbed,
    perturbed_runs,
    perturbed_targets,
    repeated,
    replica_count,
)
from harness.parity.problem import Problem
from harness.parity.stages import STAGES, StageTensors, resumed, trace

COPIES = 16  # for the stages of the first step; all steps have BAND_RUNS copies
ALL_STEPS = ("losses", "resumed")


def bands(problem: Problem, stage: str) -> StageTensors:
    """Return the band of each tensor of `stage`, and of the stages that are computed with it.

    A band is one number, or `(S, R)` for the losses, relative to the same size as the tensor's
    errors. It is infinite where the copies are too far apart to judge anything by them.
    """
    return _of_all_steps(problem) if stage in ALL_STEPS else _of_first_step(problem)


def _of_first_step(problem: Problem) -> StageTensors:
    R, rng = replica_count(problem), stream(0, "stage band")
    first = replace(problem, batches=problem.batches[:1], lr=problem.lr[:1])
    copies_of_first = perturbed_targets(repeated(first, COPIES), rng, R)
    copies = trace(
        NumpyBackend, copies_of_first, 0, perturbed(copies_of_first.state, rng, R)
    ).stages
    return {
        stage: tensor_bands(stage, copies[stage], problem.training.precision, COPIES)
        for stage in STAGES[1:]
        if stage not in ALL_STEPS
    }


def _of_all_steps(problem: Problem) -> StageTensors:
    runs = perturbed_runs(problem)
    last = resumed(NumpyBackend, runs.problem, runs.last)
    tensors = tensor_bands("resumed", last, problem.training.precision, BAND_RUNS)
    return {
        "losses": {"losses": loss_band(runs.losses)},
        "resumed": {n: np.where(band > MAX_BAND, np.inf, band) for n, band in tensors.items()},
    }
