"""On an NVIDIA GPU: every kernel computes what the reference does. Skipped, aloud, without one."""

from dataclasses import replace

import numpy as np
import pytest

from backends import Execution
from backends.numpy_backend import NumpyBackend
from harness.core.errors import ConfigError
from harness.parity.lockstep import check
from harness.parity.problem import Problem
from harness.system.gpu import gpu_present
from tests.support.agreement import check_losses
from tests.support.backend_classes import backend_class
from tests.support.problems import Case

pytestmark = [
    pytest.mark.skipif(not gpu_present(), reason="there is no NVIDIA GPU here"),
    # backends/torch_backend/modules.py ignores it, too, but pytest's filters come before that one.
    pytest.mark.filterwarnings("ignore:RNN module weights are not part of single contiguous"),
]

KERNELS = [
    *(("torch", kernel) for kernel in ("modules", "stacked", "compiled", "graphed")),
    *(("keras", kernel) for kernel in ("layers", "xla")),
    *(("jax", kernel) for kernel in ("scan", "unrolled")),
]
CASES = [
    Case("gpu-rnn", optimizer="adam", lr=0.01, clip=0.1, time_steps=4),
    Case("gpu-lstm", "lstm", layers=2, optimizer="adam", lr=0.01, replicas=3, time_steps=4),
    Case("gpu-gru", "gru", optimizer="rmsprop", lr=0.01, semantics="keras", time_steps=4),
]


def on_gpu(problem: Problem, backend_name: str, kernel: str) -> Problem:
    """Skips where the framework is not installed, or has no CUDA in it."""
    pytest.importorskip("tensorflow" if backend_name == "keras" else backend_name)
    execution = Execution(device="cuda", kernel=kernel)
    problem = replace(problem, execution=execution)
    try:
        assert problem.build(backend_class(backend_name)).device == "cuda"
    except ConfigError as error:
        pytest.skip(str(error))
    return problem


@pytest.mark.parametrize(("backend_name", "kernel"), KERNELS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gpu_agrees_with_the_reference(backend_name: str, kernel: str, case: Case) -> None:
    problem = on_gpu(case.problem("float64", 10), backend_name, kernel)
    parity = check(problem, {"numpy": NumpyBackend, backend_name: backend_class(backend_name)})
    assert parity.agrees, parity.first


@pytest.mark.parametrize(("backend_name", "kernel"), KERNELS)
def test_gpu_stays_with_the_reference_in_float32(backend_name: str, kernel: str) -> None:
    problem = on_gpu(CASES[0].problem("float32", 10), backend_name, kernel)
    losses = [
        problem.train(problem.build(c), 0, 10) for c in (NumpyBackend, backend_class(backend_name))
    ]
    check_losses(losses[0], losses[1], "float32")


@pytest.mark.parametrize("backend_name", ["torch", "keras", "jax"])
def test_a_thousand_replicas_fit(backend_name: str) -> None:
    case = Case("gpu-many", replicas=1024, optimizer="adam", lr=0.01, time_steps=4)
    problem = on_gpu(case.problem("float32", 4), backend_name, "auto")
    losses = problem.train(problem.build(backend_class(backend_name)), 0, 4)
    assert losses.shape == (4, 1024)
    assert np.isfinite(losses).all()
