"""A run is a batch of runs: replica r of a program equals the single run made of its slices."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends import Array, Backend, Data, State
from harness.config.compose import compose
from harness.parity.problem import Problem
from harness.runs.identity import Identity
from harness.runs.run import run
from harness.tracking.journal import read
from tests.support.agreement import check_forward
from tests.support.problems import Case

NUMBERS = {
    "momentum": [0.9, 0.5, 0.8, 0.99],
    "weight_decay": [0.1, 0.2, 0.3, 0.4],
    "beta1": [0.9, 0.5, 0.8, 0.7],
    "beta2": [0.999, 0.9, 0.99, 0.95],
    "rho": [0.9, 0.5, 0.99, 0.8],
}
CASES = [
    Case("replicas-nesterov-clip", momentum=0.9, nesterov=True, lr=0.02, clip=0.5, replicas=4),
    Case("replicas-adam", optimizer="adam", lr=0.01, replicas=4),
    Case("replicas-rmsprop", optimizer="rmsprop", lr=0.01, replicas=4),
]
STEPS = 30


def with_own_numbers(problem: Problem) -> Problem:
    """Each replica has other numbers of the optimiser."""
    numbers = {name: np.array(NUMBERS[name]) for name in problem.training.numbers}
    return replace(problem, training=replace(problem.training, numbers=numbers))


def single(problem: Problem, r: int) -> Problem:
    """The problem of replica r alone."""
    only = slice(r, r + 1)
    numbers = {name: v if len(v) == 1 else v[only] for name, v in problem.training.numbers.items()}
    params = {name: value[only] for name, value in problem.state.params.items()}
    slots = {
        slot: {name: value[only] for name, value in values.items()}
        for slot, values in problem.state.slots.items()
    }
    return replace(
        problem,
        training=replace(problem.training, numbers=numbers),
        data=Data(problem.data.x[only], problem.data.y[only]),
        state=State(params, slots, problem.state.step),
        batches=[rows[only] for rows in problem.batches],
        lr=problem.lr[:, only],
    )


def trained(problem: Problem, backend_class: type[Backend]) -> dict[str, Array]:
    """All that training leaves behind, each with a leading replica axis."""
    backend = problem.build(backend_class)
    losses = problem.train(backend, 0, STEPS)
    state = backend.state()
    slots = {f"{s} of {n}": v for s, values in state.slots.items() for n, v in values.items()}
    return {"losses": losses.T, "outputs": backend.predict(problem.data.x)} | state.params | slots


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_replica_equals_single_run(backend: type[Backend], case: Case) -> None:
    problem = with_own_numbers(case.problem("float64"))
    together = trained(problem, backend)
    for r in range(case.replicas):
        for name, expected in trained(single(problem, r), backend).items():
            try:
                check_forward(expected, together[name][r : r + 1], "float64")
            except AssertionError as error:
                error.add_note(f"{name} of replica {r}")
                raise


@pytest.mark.parametrize(
    ("number", "case"),
    [
        ("lr", Case("own-lr", replicas=2)),
        ("momentum", Case("own-momentum", momentum=0.9, lr=0.02, replicas=2)),
        ("weight_decay", Case("own-decay", weight_decay=0.1, replicas=2)),
        ("beta1", Case("own-beta1", optimizer="adam", lr=0.01, replicas=2)),
        ("beta2", Case("own-beta2", optimizer="adam", lr=0.01, replicas=2)),
        ("rho", Case("own-rho", optimizer="rmsprop", lr=0.01, replicas=2)),
    ],
    ids=["lr", "momentum", "weight_decay", "beta1", "beta2", "rho"],
)
def test_number_acts_on_its_replica_alone(backend: type[Backend], number: str, case: Case) -> None:
    """Twins, equal but for one number: one goes as both would without it, the other does not."""
    twins = twin_problem(case)
    numbers, lr = dict(twins.training.numbers), twins.lr.copy()
    if number == "lr":
        lr[:, 1] /= 2
    else:
        numbers[number] = numbers[number] * np.array([1, 0.5])
    parted = replace(twins, training=replace(twins.training, numbers=numbers), lr=lr)
    losses = trained(parted, backend)["losses"]
    assert losses[0, 0] == losses[1, 0]  # before the first update
    assert abs(losses[0, -1] / losses[1, -1] - 1) > 1e-4
    alone = trained(single(twins, 0), backend)["losses"]
    check_forward(alone, losses[:1], "float64")


def twin_problem(case: Case) -> Problem:
    """Two replicas with the weights, data, batches and learning rate of the first."""
    problem = single(case.problem("float64"), 0)
    return replace(
        problem,
        state=State(
            {name: np.repeat(value, 2, axis=0) for name, value in problem.state.params.items()},
            {
                slot: {name: np.repeat(value, 2, axis=0) for name, value in values.items()}
                for slot, values in problem.state.slots.items()
            },
        ),
        batches=[np.repeat(rows, 2, axis=0) for rows in problem.batches],
        lr=np.repeat(problem.lr, 2, axis=1),
    )


@pytest.mark.parametrize("nesterov", [False, True], ids=["plain", "nesterov"])
def test_momentum_of_zero_beside_another(backend: type[Backend], nesterov: bool) -> None:
    case = Case("momentum-0-and-0.9", momentum=0.9, nesterov=nesterov, lr=0.02, replicas=2)
    problem = case.problem("float64")
    numbers = problem.training.numbers | {"momentum": np.array([0.0, 0.9])}
    problem = replace(problem, training=replace(problem.training, numbers=numbers))
    together = trained(problem, backend)["losses"]
    for r in (0, 1):
        # Alone, replica 0 is plain SGD, which has no Nesterov form and no velocity.
        own = single(problem, r)
        if r == 0:
            training = replace(own.training, nesterov=False)
            own = replace(own, training=training, state=State(own.state.params))
        check_forward(trained(own, backend)["losses"], together[r : r + 1], "float64")


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_weight_decay_loses_nothing_over_many_steps(backend: type[Backend], precision: str) -> None:
    """Where the gradient is 0, only decay is left: θ ← θ − (lr·wd)·θ. A backend that multiplies by
    1 − lr·wd instead rounds that factor, and in float32 misses a tenth of the decay."""
    case = Case("decay", weight_decay=1e-3, lr=1e-3)
    problem = case.problem(precision, steps=0)
    S, (R, N) = 3000, problem.data.y.shape[:2]
    # A kernel behind a head of zeros gets no gradient, and outputs of 0 meet targets of 0.
    params = {name: np.zeros_like(p) for name, p in problem.state.params.items()}
    params["rnn.0.kernel"] = problem.state.params["rnn.0.kernel"]
    data = replace(problem.data, y=np.zeros_like(problem.data.y))
    trained_on = backend(problem.model, problem.training, data, State(params))
    trained_on.train_epoch(np.zeros((S, R, min(N, 4)), int), np.full((S, R), 1e-3))
    expected = params["rnn.0.kernel"].copy()
    for _ in range(S):
        expected -= expected * expected.dtype.type(1e-6)
    lost = params["rnn.0.kernel"] - expected
    found = params["rnn.0.kernel"] - trained_on.state().params["rnn.0.kernel"]
    np.testing.assert_allclose(found, lost, rtol=0.02 if precision == "float32" else 1e-9)


@pytest.mark.parametrize("place", ["outside", "inside"])
def test_a_replica_that_has_stopped_stays_as_it_is(tmp_path: Path, place: str) -> None:
    """With the learning rate inside the velocity, a rate of 0 alone would not hold it."""
    words = ["task=binary", "task.rule=random", "task.samples=100", "seed=10", "replicas=4"]
    words += ["optimizer=sgd", "optimizer.momentum=0.9", "optimizer.lr=0.05", "tracking=journal"]
    words += ["trainer.epochs=30", "trainer.patience=2", f"semantics.momentum_lr={place}"]
    result = run(
        compose([*words, f"results={tmp_path}"]),
        Identity(name="", directory=tmp_path / "run", overrides=[]),
    )
    metrics = [e["values"] for e in read(tmp_path / "run") if e["kind"] == "metrics"]
    losses = np.array([v["val/loss"] for v in metrics if "val/loss" in v])  # (epochs, R)
    best = result.outcome.best_epoch
    assert best is not None
    assert len(set(best)) > 1
    for r in range(4):
        stopped = losses[best[r] + 2 - 1 :, r]  # from the epoch at which its patience ends
        assert len(set(stopped)) == 1
