"""Every kernel of a backend computes the same, is chosen by its rule, and is compiled once."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backends import Array, Backend, Execution
from backends.numpy_backend import NumpyBackend
from harness.core.difference import compare
from harness.core.errors import ConfigError
from harness.parity.problem import Problem
from harness.parity.stages import memory, trace
from tests.support.agreement import check_forward, check_losses, check_stage
from tests.support.backend_classes import backend_class
from tests.support.problems import Case

CASES = [
    Case(
        "kernel-relu", activation="relu", optimizer="adam", lr=0.01, semantics="torch", replicas=2
    ),
    Case("kernel-rnn-masked", masked=True, returns="every_step", loss="bce", lr=0.01),
    Case(
        "kernel-lstm",
        "lstm",
        layers=2,
        optimizer="adam",
        lr=0.01,
        clip=0.1,
        semantics="keras",
        time_steps=4,
    ),
    Case(
        "kernel-gru",
        "gru",
        optimizer="rmsprop",
        lr=0.01,
        semantics="jax",
        weight_decay=0.1,
        time_steps=4,
    ),
    Case(
        "kernel-gru-before",
        "gru",
        rules=(("gru_reset", "before"),),
        momentum=0.9,
        masked=True,
        time_steps=4,
    ),
]
# Those that are not what `auto` takes in the other tests of agreement.
QUICK = [
    ("torch", "stacked"),
    ("keras", "xla"),
    *(("jax", kernel) for kernel in ("scan", "unrolled", "step")),
]
FLOAT32 = [
    *((*kernel, CASES[0]) for kernel in QUICK),
    *((*kernel, CASES[2]) for kernel in QUICK[:2]),
]


def with_kernel(problem: Problem, kernel: str, updates: int = 0) -> Problem:
    return replace(problem, execution=Execution(kernel=kernel, updates=updates))


def name(case: Case) -> str:
    return case.name


@pytest.mark.parametrize(("backend_name", "kernel"), QUICK)
@pytest.mark.parametrize("case", CASES, ids=name)
def test_kernel_agrees_with_the_reference(backend_name: str, kernel: str, case: Case) -> None:
    """After ten steps. `test_agreement.py` goes stage by stage, for what `auto` chooses: that takes
    three times as many programs."""
    problem = with_kernel(case.problem("float64", 10), kernel)
    expected, actual = (problem.build(c) for c in (NumpyBackend, backend_class(backend_name)))
    assert actual.kernel == kernel
    losses = [problem.train(backend, 0, 10) for backend in (expected, actual)]
    check_losses(losses[0], losses[1], "float64")
    outputs = [backend.predict(*problem.batch(0)) for backend in (expected, actual)]
    check_forward(outputs[0], outputs[1], "float64")
    one, other = expected.state(), actual.state()
    check_stage("weights", one.params, other.params, "float64")
    check_stage("optimiser slots", memory(one), memory(other), "float64")


@pytest.mark.parametrize(
    ("backend_name", "kernel", "case"), FLOAT32, ids=lambda value: getattr(value, "name", value)
)
def test_kernel_stays_with_the_reference_in_float32(
    backend_name: str, kernel: str, case: Case
) -> None:
    problem = with_kernel(case.problem("float32", 4), kernel)
    losses = [
        problem.train(problem.build(c), 0, 4) for c in (NumpyBackend, backend_class(backend_name))
    ]
    check_losses(losses[0], losses[1], "float32")


@pytest.mark.parametrize(
    "case",
    [
        Case(
            "compiled-lstm", "lstm", time_steps=2, optimizer="adam", lr=0.01, clip=0.1, replicas=2
        ),
        Case("compiled-rnn", time_steps=3, semantics="torch", masked=True, returns="every_step"),
    ],
    ids=name,
)
def test_compiled_updates_agree_with_the_reference(
    case: Case, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inductor takes many seconds for each program, so here it is one for each case."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    problem = with_kernel(case.problem("float64", 4), "compiled")  # before the short batch
    expected, actual = (problem.build(c) for c in (NumpyBackend, backend_class("torch")))
    losses = [problem.train(backend, 0, 4) for backend in (expected, actual)]
    check_losses(losses[0], losses[1], "float64")
    check_stage("weights", expected.state().params, actual.state().params, "float64")


def test_a_wrong_kernel_is_seen() -> None:
    """The comparison can fail: a kernel that forgets the recurrent bias."""
    problem = CASES[0].problem("float64", 10)
    other = replace(problem, state=replace(problem.state, params=without_bias(problem)))
    one, two = (trace(NumpyBackend, p).stages["outputs"] for p in (problem, other))
    assert compare("outputs", one, two, "float64", {}).beyond


def without_bias(problem: Problem) -> dict[str, Array]:
    params = dict(problem.state.params)
    params["rnn.0.recurrent_bias"] = np.zeros_like(params["rnn.0.recurrent_bias"])
    return params


@pytest.mark.parametrize(
    ("backend_name", "case", "updates", "kernel"),
    [
        ("torch", Case("choice"), 100, "modules"),
        ("torch", Case("choice", replicas=3), 100, "stacked"),
        ("torch", Case("choice", "lstm", units=64, replicas=3), 100, "stacked"),
        ("torch", Case("choice", "lstm", units=65, replicas=3), 100, "modules"),
        ("torch", Case("choice", "gru", units=65, replicas=3), 100, "stacked"),
        ("torch", Case("choice", masked=True), 100, "stacked"),
        ("torch", Case("choice", "gru", rules=(("gru_reset", "before"),)), 100, "stacked"),
        ("torch", Case("choice"), 10**6, "compiled"),
        ("torch", Case("choice"), 10**4, "stacked"),
        ("torch", Case("choice", "lstm"), 10**4, "modules"),
        ("torch", Case("choice", "lstm", time_steps=99), 10**6, "modules"),
        ("torch", Case("choice", "lstm", units=65), 10**6, "modules"),
        ("torch", Case("choice", replicas=30), 10**4, "stacked"),
        ("keras", Case("choice"), 100, "layers"),
        ("keras", Case("choice", time_steps=10, layers=2), 499, "layers"),
        ("keras", Case("choice", time_steps=10, layers=2), 500, "xla"),
        ("keras", Case("choice", replicas=3), 100, "xla"),
        ("jax", Case("choice"), 100, "scan"),
        ("numpy", Case("choice"), 100, "loops"),
    ],
)
def test_kernel_is_chosen_by_shape_and_work(
    backend_name: str, case: Case, updates: int, kernel: str
) -> None:
    problem = with_kernel(case.problem("float32", 10), "auto", updates)
    assert problem.build(backend_class(backend_name)).kernel == kernel


def test_xla_is_taken_sooner_for_a_larger_batch() -> None:
    problem = with_kernel(Case("choice", time_steps=10, units=10).problem("float32", 10), "auto")
    kernels = []
    for batch in (8, 800):
        execution = Execution(updates=500, batch=batch)
        kernels.append(replace(problem, execution=execution).build(backend_class("keras")).kernel)
    assert kernels == ["layers", "xla"]


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (Case("refused", masked=True), "masks"),
        (Case("refused", "gru", rules=(("gru_reset", "before"),)), "resets"),
    ],
)
def test_modules_refuse_what_they_cannot_do(case: Case, words: str) -> None:
    problem = with_kernel(case.problem("float32", 10), "modules")
    with pytest.raises(ConfigError, match=rf"backend.kernel=modules: .*{words}.*use"):
        problem.build(backend_class("torch"))


def test_a_graph_needs_a_gpu() -> None:
    problem = with_kernel(Case("refused").problem("float32", 10), "graphed")
    with pytest.raises(ConfigError, match=r"backend.kernel=graphed: needs a GPU.*use"):
        problem.build(backend_class("torch"))


def test_without_a_compiler_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    backend = backend_class("torch")
    problem = Case("choice").problem("float32", 10)
    assert with_kernel(problem, "auto", 10**6).build(backend).kernel == "stacked"
    with pytest.raises(ConfigError, match=r"backend.kernel=compiled: needs a C\+\+ compiler"):
        with_kernel(problem, "compiled").build(backend)


# ------------------------------------------------------------------------------- compiled only once


def other_job(problem: Problem) -> Problem:
    """The same shapes with other weights, data, learning rates and optimiser's numbers."""
    params = {n: 0.5 * value for n, value in problem.state.params.items()}
    numbers = problem.training.numbers | {"beta1": np.array([0.8])}
    return replace(
        problem,
        training=replace(problem.training, numbers=numbers),
        data=replace(problem.data, x=2 * problem.data.x),
        state=replace(problem.state, params=params),
        lr=0.1 * problem.lr,
    )


def programs(backend_name: str) -> int:
    """How many training programs this process has compiled."""
    if backend_name == "torch":
        from backends.torch_backend.compiled import programs

        return len(programs)
    if backend_name == "jax":
        from backends.jax_backend import program

        return getattr(program.train, "_cache_size")()  # noqa: B009 - not in its type
    from backends.keras_backend import program

    return program.compiled


@pytest.mark.parametrize(
    ("backend_name", "kernel"),
    [("torch", "compiled"), ("keras", "xla"), ("keras", "layers"), ("jax", "unrolled")],
)
def test_a_second_job_of_the_same_shape_compiles_nothing(
    backend_name: str, kernel: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    backend: type[Backend] = backend_class(backend_name)
    case = Case("compile-once", time_steps=2, optimizer="adam", lr=0.01)
    problem = with_kernel(case.problem("float32", 4), kernel)
    before = programs(backend_name)
    first = problem.train(problem.build(backend), 0, 4)
    after = programs(backend_name)
    assert after == before + 1
    second = other_job(problem)
    assert not np.allclose(second.train(second.build(backend), 0, 4), first)
    assert programs(backend_name) == after
