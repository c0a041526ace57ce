"""How many threads a run gets, and that no number depends on the cores of a machine."""

from dataclasses import replace
from itertools import product

import pytest

from backends import Execution
from harness.core.model import ModelSpec
from harness.system import processor
from harness.system.processor import own_cores, usable_cores
from harness.system.worker_processes import processes
from harness.training import replica_chunks
from harness.training.execution import execution_of
from harness.training.load_backend import load_backend
from harness.training.plan import prepare
from harness.training.replica_chunks import slices_for, threads_used
from tests.support.configs import config

MODEL = ModelSpec(
    cell="rnn",
    features=1,
    units=4,
    layers=1,
    activation="tanh",
    returns="last",
    head="dense",
    outputs=1,
)


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "_share", [4])


@pytest.mark.parametrize(
    ("words", "threads", "each"),
    [
        (("backend=numpy",), 4, 1),
        (("backend=torch",), 4, 1),
        (("backend=keras",), 1, 1),
        (("backend=jax",), 1, 1),
        (("backend=numpy", "threads=3"), 3, 3),
        (("backend=jax", "threads=3"), 3, 3),
        (("backend=jax", "backend.kernel=sharded"), 4, 4),
        (("backend=numpy", "trainer.deterministic=true"), 4, 1),
    ],
)
def test_chunks_use_all_cores_and_each_has_one_thread(
    words: tuple[str, ...], threads: int, each: int
) -> None:
    execution = execution_of(config(*words))
    assert (execution.threads, execution.threads_each) == (threads, each)


def test_worker_processes_share_the_cores() -> None:
    pool = processes(2)
    try:
        assert pool.submit(own_cores).result() == max(1, usable_cores() // 2)
    finally:
        pool.shutdown()


@pytest.mark.parametrize("replicas", [1, 5])
def test_numbers_do_not_depend_on_the_cores(replicas: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_chunks, "MIN_GATES", 16 * 5 * 2)
    found: set[bytes] = set()
    for cores in (1, 2, 7):
        monkeypatch.setattr(processor, "_share", [cores])
        plan = prepare(config("task.samples=40", "model.units=5", f"replicas={replicas}"))
        plan = replace(plan, execution=replace(plan.execution, batch=16))
        backend = plan.build(load_backend(plan.config.backend))
        found.add(b"".join(backend.train_epoch(*c).tobytes() for c in plan.schedule.epoch(1)))
        assert len(getattr(backend, "chunks", [0])) == max(1, replicas // 2)
        assert plan.threads == min(cores, max(1, replicas // 2))
    assert len(found) == 1


def test_the_recorded_threads_give_each_chunk_its_own_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run with `threads=auto` is repeated with the number that it used."""
    monkeypatch.setattr(replica_chunks, "MIN_GATES", 4 * 8 * 2)
    for replicas, cores, each in product((1, 2, 3, 4, 7, 40), (1, 2, 3, 8), (1, None)):
        auto = Execution(threads=cores, each=each or cores, batch=8)
        slices = slices_for(MODEL, replicas, auto, False)
        if each is None and len(slices) > 1:  # which nobody chooses
            continue
        again = Execution(threads=threads_used(MODEL, replicas, auto, False), batch=8)
        assert slices_for(MODEL, replicas, again, False) == slices
        at_once = min(again.threads, len(slices))
        assert replace(again, backends=at_once).threads_each == auto.threads_each
