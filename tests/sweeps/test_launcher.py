"""Jobs trained together are exactly what they are alone, number by number, and fail alone."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from backends import CPU, Execution, State
from harness.config.compose import compose
from harness.core.errors import Diverged, Pruned
from harness.runs.identity import Identity
from harness.runs.run import Result, carry_out
from harness.sweeps import shared_program
from harness.sweeps.cotraining import SharedTraining
from harness.sweeps.grouping import sharing_key
from harness.sweeps.shared_replicas import Judge, SharedPruning
from harness.tracking.journal import last, read
from harness.training.load_backend import load_backend
from harness.training.plan import Plan, prepare
from tests.support.program import run

SMALL = [
    "task.samples=60",
    "task.length=4",
    "model.units=5",
    "trainer.epochs=3",
    "precision=float64",
]
SMALL += ["tracking=journal"]


def plan(results: Path, *words: str) -> Plan:
    return prepare(compose([*SMALL, *words, f"results={results}"]))


def train_together(plans: list[Plan], folder: Path) -> list[Any]:
    """What became of each, its result or its exception; run i writes to `folder/i`."""
    found: dict[int, Any] = {}

    def work(i: int) -> Callable[..., Result]:
        identity = Identity(
            name=str(i), directory=folder / str(i), overrides=[], shows_progress=False
        )
        return lambda load: carry_out(plans[i], identity, load)

    group = SharedTraining(plans, load_backend(plans[0].config.backend))
    group.train([work(i) for i in range(len(plans))], found.__setitem__)
    return [found[i] for i in range(len(plans))]


def numbers(directory: Path) -> dict[str, np.ndarray]:
    """Everything that a run leaves as numbers, but for times."""
    found: dict[str, np.ndarray] = {}
    for path in sorted(directory.rglob("*.safetensors")):
        name = path.relative_to(directory)
        found |= {f"{name} {n}": value for n, value in load_file(path).items()}
    for event in read(directory):
        if event["kind"] in ("metrics", "scalars"):
            values = event["values"].items()
            step = event.get("step", 0)
            found |= {f"{n} {step}": np.array(v) for n, v in values if not n.startswith("time/")}
    table = pd.read_csv(directory / "predictions.csv")
    found |= {f"predictions {n}": table[n].to_numpy() for n in ("true", "predicted")}
    return found


KINDS = {
    "numpy": ["backend=numpy"],
    "torch": ["backend=torch", "model=lstm"],
    "keras": ["backend=keras", "task.lengths=2:4"],
    "jax": ["backend=jax", "model=gru", "task=binary"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_together_is_number_by_number_as_alone(kind: str, tmp_path: Path) -> None:
    jobs = [
        ["seed=0"],
        ["seed=7", "optimizer.lr=0.1", "replicas=2"],
        ["seed=3", "optimizer.beta1=0.5", "semantics.kernel_init=lecun_normal"],
        ["seed=1", "trainer.epochs=9", "trainer.patience=2", "optimizer.lr=0.5"],
        ["seed=2", "trainer.epochs=12"],  # goes on when the one before has its best weights back
    ]
    plans = [plan(tmp_path, *KINDS[kind], *job) for job in jobs]
    assert len({sharing_key(each) for each in plans}) == 1
    results = train_together(plans, tmp_path / "together")
    for i, each in enumerate(plans):
        identity = Identity(name=str(i), directory=tmp_path / "alone" / str(i), overrides=[])
        alone = carry_out(each, identity, load_backend(each.config.backend))
        assert results[i].outcome.epochs == alone.outcome.epochs
        expected, actual = (numbers(tmp_path / way / str(i)) for way in ("alone", "together"))
        assert expected.keys() == actual.keys()
        for name, value in expected.items():
            np.testing.assert_allclose(
                actual[name], value, rtol=1e-9, atol=1e-12, err_msg=f"{name} of job {i}"
            )


@pytest.mark.parametrize("kind", KINDS)
def test_runs_that_have_ended_are_left_behind(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_program, "CONSTRUCTION", 0.0)
    settings = ["trainer.epochs=7", "trainer.shuffle=true", *KINDS[kind]]
    plans = [plan(tmp_path, *settings, f"seed={seed}", "replicas=2") for seed in range(5)]
    sizes: list[int] = []

    def factory(
        model: Any, training: Any, data: Any, state: State, execution: Execution = CPU
    ) -> Any:
        sizes.append(len(next(iter(state.params.values()))))
        return load(model, training, data, state, execution)

    def judge(requests: Mapping[int, Judge]) -> dict[int, bool]:
        """Prune runs 0, 2 and 3 after epoch 2, and 4 after epoch 3: runs 1 and 4, then 1 alone."""
        return {i: i != 1 and r.report.epoch == (3 if i == 4 else 2) for i, r in requests.items()}

    load = load_backend(plans[0].config.backend)
    found: dict[int, Any] = {}

    def work(i: int) -> Callable[..., Result]:
        identity = Identity(
            name=str(i),
            directory=tmp_path / "together" / str(i),
            overrides=[],
            shows_progress=False,
        )
        return lambda shared: carry_out(plans[i], identity, shared, pruning=SharedPruning(1))

    group = SharedTraining(plans, factory, judge)
    group.train([work(i) for i in range(5)], found.__setitem__)
    assert sizes[-3:] == [10, 4, 2]
    assert [isinstance(found[i], Pruned) for i in range(5)] == [True, False, True, True, True]
    identity = Identity(name="1", directory=tmp_path / "alone", overrides=[])
    carry_out(plans[1], identity, load)
    expected, actual = numbers(tmp_path / "alone"), numbers(tmp_path / "together/1")
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_together_has_the_digests_of_alone_where_all_bits_are_equal(tmp_path: Path) -> None:
    plans = [plan(tmp_path, "backend=numpy", f"seed={seed}") for seed in (0, 7)]
    train_together(plans, tmp_path / "together")
    for i, each in enumerate(plans):
        identity = Identity(name=str(i), directory=tmp_path / "alone" / str(i), overrides=[])
        carry_out(each, identity, load_backend(each.config.backend))
        alone, together = (
            [event["state"] for event in read(tmp_path / way / str(i)) if event.get("step", 0) > 0]
            for way in ("alone", "together")
        )
        assert len(set(alone)) == 3
        assert alone == together


def test_a_job_that_diverges_harms_no_other(tmp_path: Path) -> None:
    plans = [plan(tmp_path, f"optimizer.lr={lr}", "optimizer=sgd") for lr in (0.01, 1e200)]
    good, bad = train_together(plans, tmp_path / "together")
    assert isinstance(bad, Diverged)
    assert np.isfinite(good.loss)
    ends = [last(tmp_path / "together" / str(i), "end") for i in range(2)]
    assert [end and end["status"] for end in ends] == ["FINISHED", "FAILED"]


@pytest.mark.parametrize(
    "other",
    [
        ["model.units=6"],
        ["task.length=5"],
        ["task.samples=61"],
        ["task.lengths=2:4"],
        ["optimizer=sgd"],
        ["optimizer.weight_decay=0.1"],
        ["trainer.batch_size=7"],
        ["trainer.clip=1"],
        ["semantics.adam_eps=1e-3"],
        ["semantics.biases=double"],
        ["backend=torch"],
        ["precision=float32"],
    ],
    ids=" ".join,
)
def test_jobs_of_another_shape_or_rule_do_not_share(other: list[str], tmp_path: Path) -> None:
    assert sharing_key(plan(tmp_path)) != sharing_key(plan(tmp_path, *other))


def test_a_sweep_is_the_same_with_either_launcher(tmp_path: Path) -> None:
    """The real program: two groups and a job that fails; names, order, table and exit code too."""
    words = ["-m", "task=sum,binary", "seed=0,1", "task.samples=30,2", "task.length=3"]
    words += ["trainer.epochs=2", "tracking=journal", "hydra.sweep.dir=sweep"]
    ends = {}
    for launcher in ("basic", "batched"):
        folder = tmp_path / launcher
        folder.mkdir()
        done = run(folder, *words, f"hydra/launcher={launcher}")
        ends[launcher] = done.code
        assert "Traceback" not in done.err
    assert ends == {"basic": 1, "batched": 1}
    for job in map(str, range(8)):
        one, other = (tmp_path / launcher / "sweep" / job for launcher in ends)
        first, second = (next(iter(read(each))) for each in (one, other))
        assert first["name"] == second["name"]
        assert (last(one, "end") or {})["status"] == (last(other, "end") or {})["status"]
        if (one / "predictions.csv").exists():
            assert json.loads((one / "network.json").read_text()) == json.loads(
                (other / "network.json").read_text()
            )
            for name, value in numbers(one).items():
                np.testing.assert_allclose(numbers(other)[name], value, rtol=1e-4, atol=1e-6)
