"""Replicas in chunks train as they do in one piece, in every backend."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from backends import Array, Backend, Execution
from backends.numpy_backend import NumpyBackend
from harness.parity.problem import Problem
from harness.training import replica_chunks
from harness.training.replica_chunks import ReplicaChunks, chunk_slices, in_chunks
from tests.support.problems import Case

CASES = [
    Case("chunks-rnn", replicas=5, optimizer="adam", lr=0.01, clip=0.1, semantics="torch"),
    Case("chunks-lstm", "lstm", replicas=4, masked=True, returns="every_step", loss="bce"),
]
STEPS = 12  # two epochs with their shorter last batches, and more


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_chunks, "MIN_GATES", 100)  # chunks of one or two replicas


def several(case: Case) -> Problem:
    """With optimiser's numbers of each replica's own, two threads, and what a plan knows."""
    problem = case.problem("float64", STEPS)
    share = np.linspace(0.9, 1, case.replicas)
    numbers = {name: share * value for name, value in problem.training.numbers.items()}
    batch = problem.batches[0].shape[-1]
    training = replace(problem.training, numbers=numbers)
    execution = Execution(batch=batch, threads=2)
    return replace(problem, training=training, execution=execution)


def in_pieces(problem: Problem, backend: type[Backend]) -> Any:
    split = problem.build(partial(in_chunks, backend, False))
    assert isinstance(split, ReplicaChunks)
    return split


def trained(problem: Problem, backend: Any) -> dict[str, Array]:
    """What comes of it; the second time each call's programs are there."""
    found = {}
    for time in ("first", "second"):
        found[f"{time} losses"] = problem.train(backend, 0, STEPS)
        found[f"{time} outputs"] = backend.predict(problem.data.x, problem.data.mask)
    state = backend.state()
    assert state.step == 2 * STEPS
    slots = {f"{slot} {n}": v for slot, kept in state.slots.items() for n, v in kept.items()}
    return found | state.params | slots


def compare(actual: dict[str, Array], expected: dict[str, Array]) -> None:
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(actual[name], values, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_chunks_train_as_one_piece(backend: type[Backend], case: Case) -> None:
    problem = several(case)
    split = in_pieces(problem, backend)
    assert {own.stop - own.start for own in split.slices} <= {1, 2}
    assert split.kernel == f"{split.chunks[0].kernel}, in {len(split.chunks)} chunks"
    compare(trained(problem, split), trained(problem, problem.build(backend)))


def test_a_replica_in_the_wrong_place_shows() -> None:
    problem = several(CASES[0])
    split = in_pieces(problem, NumpyBackend)
    split.chunks.reverse()
    with pytest.raises((AssertionError, ValueError, IndexError)):
        compare(trained(problem, split), trained(problem, problem.build(NumpyBackend)))


def test_shared_data_is_shared_by_all_chunks() -> None:
    problem = several(CASES[1])
    shared = problem.data.map(lambda array: array[:1])
    problem = replace(problem, data=shared)
    whole = problem.build(NumpyBackend)
    compare(trained(problem, in_pieces(problem, NumpyBackend)), trained(problem, whole))


def test_threads_are_shared_out() -> None:
    split = in_pieces(several(CASES[0]), NumpyBackend)
    assert [chunk.execution.backends for chunk in split.chunks] == [2] * len(split.chunks)


def test_every_call_sets_its_threads() -> None:
    """They are the whole process's, and a backend in chunks has left fewer."""
    problem = several(CASES[0])
    backend, split = problem.build(NumpyBackend), in_pieces(problem, NumpyBackend)
    for trained_last, threads in ((split, 1), (backend, 2)):
        problem.train(trained_last, 0, 1)
        [pool] = [pool for pool in threadpool_info() if "numpy.libs" in pool["filepath"]]
        assert pool["num_threads"] == threads


@pytest.mark.parametrize(
    ("replicas", "gates", "sizes"),
    [(1, 999, [1]), (8, 0, [8]), (8, 24, [8]), (8, 25, [4, 4]), (5, 40, [2, 3]), (3, 999, [1] * 3)],
)
def test_more_gates_make_more_chunks(replicas: int, gates: int, sizes: list[int]) -> None:
    assert [own.stop - own.start for own in chunk_slices(replicas, gates)] == sizes


@pytest.mark.parametrize(
    ("replicas", "gates", "chunks"),
    [(15, 1, 1), (16, 1, 2), (64, 1, 8), (200, 1, 8), (4, 4_096, 2), (4, 8_192, 4), (4, 99_999, 4)],
)
def test_an_epoch_in_one_call_is_split_further(replicas: int, gates: int, chunks: int) -> None:
    assert len(chunk_slices(replicas, gates, epoch_is_a_call=True)) == chunks


def test_a_chunk_that_fails_is_heard_of(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = several(CASES[0])
    split = in_pieces(problem, NumpyBackend)
    problem.train(split, 0, STEPS)

    def fail(*_: object) -> Array:
        raise MemoryError("no room")

    monkeypatch.setattr(split.chunks[1], "train_epoch", fail)
    with pytest.raises(MemoryError, match="no room"):
        problem.train(split, 0, STEPS)
