"""`backend.kernel=auto` measures the kernels of a long run, and keeps what it has measured.

Kernels that are slow for sure are NumPy's network with a pause in each step, a hundred times as
long as the step itself.
"""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import CPU, Array, BackendFactory, Data, Execution, State, TrainingSpec
from backends.numpy_backend import NumpyBackend
from backends.torch_backend import TorchBackend
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec
from harness.sweeps.shared_kernel import planned_together
from harness.system import processor
from harness.training import replica_chunks
from harness.training.kernel_choice import measuring, planned, workload
from harness.training.plan import Plan, prepare
from tests.support.configs import config

LONG = "trainer.epochs=1000000"  # 3 updates each
SHORT = "trainer.epochs=100"


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call is enough to see a ratio of a hundred; the machine has a single core."""
    monkeypatch.setattr(measuring, "ENOUGH", 0.0)
    monkeypatch.setattr(processor, "_share", [1])


class Pausing(NumpyBackend):
    """NumPy's network, whose construction and steps take `pauses` of its kernel longer."""

    pauses = (0.0, 0.0)

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        time.sleep(self.pauses[1] * len(batches))
        return super().train_epoch(batches, lr)


@dataclass
class Factory:
    """A factory of `Pausing` backends: `kernels` maps names to the pauses, or to an error."""

    kernels: dict[str, tuple[float, float] | Exception]
    built: list[str] = field(default_factory=list[str])
    states: list[State] = field(default_factory=list[State])

    def __call__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> Pausing:
        self.built.append(execution.kernel)
        self.states.append(state)
        pauses = self.kernels[execution.kernel]
        if isinstance(pauses, Exception):
            raise pauses
        time.sleep(pauses[0])
        backend = Pausing(model, training, data, state, execution)
        backend.pauses = pauses
        return backend


SLOW_AND_FAST: dict[str, tuple[float, float] | Exception] = {"slow": (0, 0.03), "fast": (0, 0)}


def plan(*words: str, kernels: Any = ("slow", "fast"), **trainer: Any) -> Plan:
    """A small plan for a backend with these kernels; `words` come after the others."""
    small = ("task.samples=60", "task.length=4", "model.units=3", "trainer.batch_size=16")
    run = config(*small, "precision=float64", LONG, *words)
    listed = kernels if isinstance(kernels, dict) else list(kernels)
    own = replace(run.backend, kernels=listed)
    return prepare(replace(run, backend=own, trainer=replace(run.trainer, **trainer)))


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "cache/kernels").glob("*"))


def test_a_long_run_takes_the_fastest_kernel(tmp_path: Path) -> None:
    for names in (("slow", "fast"), ("fast", "slow")):
        factory = Factory(SLOW_AND_FAST)
        before = plan(kernels=names)
        found = planned(before, factory, tmp_path / names[0])
        assert factory.built == list(names)
        assert found.execution == replace(before.execution, kernel="fast")
        assert {each.kernel for each in found.figures} == {"slow", "fast"}
        assert found.start is before.start
        for name, drawn in plan().start.params.items():
            np.testing.assert_array_equal(found.start.params[name], drawn)


def test_figures_are_kept_for_all_runs_of_the_shape(tmp_path: Path) -> None:
    first = planned(plan(), Factory(SLOW_AND_FAST), tmp_path)
    assert len(kept(tmp_path)) == 2
    written = json.loads(kept(tmp_path)[0].read_text())
    assert written["shape"]["network"]["units"] == 3
    assert written["shape"]["batch"] == 16
    files = {path: path.read_bytes() for path in kept(tmp_path)}
    for words in ((), (SHORT,), ("seed=5", "optimizer.lr=0.5")):
        factory = Factory({})
        again = planned(plan(*words), factory, tmp_path)
        assert factory.built == []
        assert (again.execution.kernel, again.figures) == ("fast", first.figures)
    others = ("trainer.batch_size=8", "model.units=4", "replicas=2", "precision=float32")
    for words in (*others, "optimizer=sgd", "task.lengths=2:4", "trainer.clip=1"):
        factory = Factory(SLOW_AND_FAST)
        assert planned(plan(words), factory, tmp_path).execution.kernel == "fast"
        assert factory.built == ["slow", "fast"], words
    assert {path: path.read_bytes() for path in files} == files


def test_a_start_pays_for_many_updates_alone(tmp_path: Path) -> None:
    factory = Factory({"soon": (0, 0.003), "late": (1, 0)})
    kernels = ("soon", "late")
    assert planned(plan(kernels=kernels), factory, tmp_path).execution.kernel == "late"
    short = plan("trainer.epochs=1", kernels=kernels)
    assert planned(short, factory, tmp_path).execution.kernel == "soon"
    assert factory.built == ["soon", "late"]


@pytest.mark.parametrize(
    "words",
    [(SHORT,), ("trainer.epochs=0",), ("trainer.deterministic=true",), ("backend.kernel=loops",)],
)
def test_nothing_is_measured(words: tuple[str, ...], tmp_path: Path) -> None:
    """For short runs, and where a rule or the user decides."""
    before = plan(*words, kernels=("loops", "fast"))
    factory = Factory({})
    assert planned(before, factory, tmp_path) == before
    assert factory.built == []
    assert kept(tmp_path) == []


def test_a_rule_and_a_user_decide_in_spite_of_kept_figures(tmp_path: Path) -> None:
    planned(plan(), Factory(SLOW_AND_FAST), tmp_path)
    for words in ("trainer.deterministic=true", "backend.kernel=slow"):
        key, _, value = words.partition("=")
        given = {"deterministic": True} if key == "trainer.deterministic" else {}
        before = plan(**given)
        if not given:
            before = replace(before, execution=replace(before.execution, kernel=value))
        assert planned(before, Factory({}), tmp_path) == before


def test_refused_and_failing_kernels_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    errors = {"refused": ConfigError("no compiler"), "failing": RuntimeError("internal error")}
    factory = Factory({**errors, "fast": (0, 0)})
    before = plan(kernels=("refused", "failing", "fast"))
    assert planned(before, factory, tmp_path).execution.kernel == "fast"
    assert factory.built == ["refused", "failing", "fast"]
    assert "kernel failing is left out, since it failed: internal error" in caplog.text
    assert "no compiler" not in caplog.text
    none = plan(kernels=("refused", "failing"))
    assert planned(none, factory, tmp_path) == none, "the rule decides, and says what is wrong"


def test_a_start_that_is_too_dear_is_tried_by_a_longer_run_alone(tmp_path: Path) -> None:
    kernels = {"dear": {"seconds": 1e4, "per": "time_step"}, "soon": 0}
    factory = Factory({"dear": (0, 0), "soon": (0, 0)})
    planned(plan(kernels=kernels), factory, tmp_path)
    assert factory.built == ["soon"]
    planned(plan("trainer.epochs=1000000000000", kernels=kernels), factory, tmp_path)
    assert factory.built == ["soon", "dear"], "the figures of the other are kept"


DAMAGED = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b"[" * 50_000,
    {"step_us": float("nan")},
    {"step_us": -1},
    {"step_us": None},
    {"start_s": "1e999"},
    {"threads": "many"},
    {"kernel": "another"},
    {"format": 2},
    {"shape": {}},
]


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda damage: str(damage)[:20])
def test_a_damaged_file_stays_and_does_not_count(damage: Any, tmp_path: Path) -> None:
    planned(plan(), Factory(SLOW_AND_FAST), tmp_path)
    [path] = [path for path in kept(tmp_path) if "slow" in path.name]
    good = path.read_bytes()
    bad = damage if isinstance(damage, bytes) else json.dumps(json.loads(good) | damage).encode()
    path.write_bytes(bad)
    for built in (["slow"], []):
        factory = Factory(SLOW_AND_FAST)
        assert planned(plan(), factory, tmp_path).execution.kernel == "fast"
        assert factory.built == built
        assert path.read_bytes() == bad
    assert path.with_name(f"{path.stem}-2.json").exists()


def test_a_folder_that_cannot_be_written_costs_the_figures_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("somebody else's")
    assert planned(plan(), Factory(SLOW_AND_FAST), tmp_path).execution.kernel == "fast"
    assert "figures of kernel fast are not kept" in caplog.text
    assert (tmp_path / "cache").read_text() == "somebody else's"


def test_the_first_figures_of_a_shape_count(tmp_path: Path) -> None:
    """Also those that another process has written in the meantime."""
    planned(plan(), Factory(SLOW_AND_FAST), tmp_path)
    files = {path: path.read_bytes() for path in kept(tmp_path)}

    class Overtaken(Factory):
        """Finds the files gone, and there again when it has measured."""

        def __call__(self, *arguments: Any) -> Pausing:
            for path, content in files.items():
                path.write_bytes(content)
            return super().__call__(*arguments)

    for path in files:
        path.unlink()
    swapped = Overtaken({"slow": (0, 0), "fast": (0, 0.03)})
    assert planned(plan(), swapped, tmp_path).execution.kernel == "fast"
    assert swapped.built == ["slow", "fast"]
    assert {path: path.read_bytes() for path in kept(tmp_path)} == files


def test_runs_that_share_a_program_are_planned_as_one(tmp_path: Path) -> None:
    factory = Factory(SLOW_AND_FAST)
    plans = [plan(f"seed={seed}", "replicas=2") for seed in (0, 5)]
    found = planned_together(plans, factory, tmp_path)
    assert factory.built == ["slow", "fast"]
    assert {len(state.params["rnn.0.kernel"]) for state in factory.states} == {4}
    for before, after in zip(plans, found, strict=True):
        assert after == replace(
            before,
            execution=replace(before.execution, kernel="fast"),
            figures=found[0].figures,
        )
    assert json.loads(kept(tmp_path)[0].read_text())["shape"]["replicas"] == 4


@pytest.mark.parametrize(
    ("words", "threads"),
    [
        ((), [1, 4]),
        (("threads=3",), []),  # a single kernel and nothing to choose
        (("replicas=3",), []),  # in three chunks, each in a thread
        (("backend=jax",), []),
    ],
)
def test_threads_are_measured_where_they_are_open(
    words: tuple[str, ...], threads: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "_share", [4])
    monkeypatch.setattr(replica_chunks, "MIN_GATES", 16 * 3)
    factory = Factory({"one": (0, 0)})
    found = planned(plan(*words, kernels=["one"]), factory, tmp_path)
    assert [each.threads for each in found.figures] == threads
    assert found.threads == found.execution.threads_each or not threads


@pytest.mark.parametrize("wide", [False, True])
def test_a_fixed_pool_has_all_cores_in_long_runs_of_wide_networks(
    wide: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "_share", [4])
    monkeypatch.setattr(workload, "WIDE", 16 * 3 + (not wide))
    threads = 4 if wide else 1
    short = planned(plan("backend=jax", SHORT), Factory({}), tmp_path)
    assert (short.execution.kernel, short.execution.threads) == ("auto", 1)
    long = planned(plan("backend=jax"), Factory(SLOW_AND_FAST), tmp_path)
    assert (long.execution.kernel, long.execution.threads) == ("fast", threads)
    again = planned(plan("backend=jax", SHORT), Factory({}), tmp_path)
    assert (again.execution.kernel, again.execution.threads) == ("fast", threads)
    named = planned(
        plan("backend=jax", "backend.kernel=scan", kernels=["scan"]), Factory({}), tmp_path
    )
    assert (named.execution.kernel, named.execution.threads) == ("scan", threads)
    fixed = planned(plan("backend=jax", deterministic=True), Factory({}), tmp_path)
    assert fixed.execution.threads == 1


@pytest.mark.parametrize(("step_us", "threads"), [(100, 1), (94, 1), (90, 4)])
def test_more_threads_must_save_a_tenth(
    step_us: float, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "_share", [4])
    planned(plan(kernels=["one"]), Factory({"one": (0, 0)}), tmp_path)
    for path in kept(tmp_path):
        figures = {"start_s": 0, "step_us": step_us if path.stem.endswith("-4") else 100}
        path.write_text(json.dumps(json.loads(path.read_text()) | figures))
    found = planned(plan(kernels=["one"]), Factory({}), tmp_path)
    assert found.threads == found.execution.threads_each == threads


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_planned_run_computes_what_its_kernel_computes(cell: str, tmp_path: Path) -> None:
    words = (f"model={cell}", "backend=torch", "optimizer.lr=0.01")
    kernels = ("modules", "stacked")
    found = planned(plan(*words, kernels=kernels), TorchBackend, tmp_path)
    chosen = found.execution.kernel
    alone, other = (
        losses(plan(*words, f"backend.kernel={kernel}", "threads=1", kernels=kernels), TorchBackend)
        for kernel in (chosen, *(set(kernels) - {chosen}))
    )
    own = losses(found, TorchBackend)
    assert own.tobytes() == alone.tobytes()
    assert own.tobytes() != other.tobytes(), "another kernel rounds otherwise"
    np.testing.assert_allclose(own, losses(plan(*words), NumpyBackend), rtol=1e-12)


def losses(run: Plan, backend_class: BackendFactory) -> Array:
    """Of ten epochs, `(S, R)`."""
    backend = run.build(backend_class)
    calls = [call for epoch in range(1, 11) for call in run.schedule.epoch(epoch)]
    return np.concatenate([backend.train_epoch(*call) for call in calls])
