"""Train a backend's replicas in chunks: each is a backend of its own, and several run in threads.

Replicas of a small network are faster in one program, because they share the overhead of each call.
Replicas of a larger one are not: together they outgrow the processor's caches, and no framework
spreads one small matrix product well over several cores. Frameworks release the GIL while they
compute, so chunks in threads use all cores.

Where a whole epoch is one call, the GIL is free all the time and XLA is slower with a batch of
matrices: there chunks are smaller. Measured on two cores, per update and replica of 16 LSTMs of 128
units, 50 steps, batch 32: JAX 4.7 ms in 2 chunks, 3.1 in 16, NumPy 4.2 and 4.7; of 32 simple cells
of 32 units, 10 steps, batch 8: JAX 20 µs in one piece, 11 in 4 chunks, 28 in 32.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController  # pyright: ignore[reportMissingTypeStubs]

from backends import CPU, Array, Backend, BackendFactory, Data, Execution, State, TrainingSpec
from harness.core.model import GATES, ModelSpec
from harness.system.gpu import gpu_present
from harness.training.replicas import axis_slice, merge_states, state_slice

MIN_GATES = 32_768  # of a chunk, in one time step of a batch
MIN_GATES_OF_CALLS = 8_192  # where an epoch is a call
MIN_REPLICAS, SMALL_CHUNKS = 8, 8  # of small networks there: of a chunk at least, chunks at most

Call = tuple[str, tuple[int, ...]]  # a method and the shape of its array


def in_chunks(
    factory: BackendFactory,
    epoch_is_a_call: bool,
    model: ModelSpec,
    training: TrainingSpec,
    data: Data,
    state: State,
    execution: Execution = CPU,
) -> Backend:
    """Construct the backend, in chunks if it runs on the CPU and has enough replicas and gates."""
    slices = slices_for(model, len(state.params["rnn.0.kernel"]), execution, epoch_is_a_call)
    if len(slices) == 1:
        return factory(model, training, data, state, execution)
    return ReplicaChunks(factory, slices, model, training, data, state, execution)


def slices_for(
    model: ModelSpec, replicas: int, execution: Execution, epoch_is_a_call: bool
) -> list[slice]:
    """Return the slice of the replicas that each chunk has: a single one on a GPU."""
    if execution.device != "cpu" and gpu_present():
        return [slice(0, replicas)]
    gates = execution.batch * GATES[model.cell] * model.units
    return chunk_slices(replicas, gates, epoch_is_a_call)


def threads_used(
    model: ModelSpec, replicas: int, execution: Execution, epoch_is_a_call: bool
) -> int:
    """Return the threads that compute at once, those of all chunks together.

    With that number as `threads=N`, each chunk has as many threads as now.
    """
    slices = slices_for(model, replicas, execution, epoch_is_a_call)
    at_once = min(execution.threads, len(slices))
    return at_once * replace(execution, backends=at_once).threads_each


def chunk_slices(replicas: int, gates: int, epoch_is_a_call: bool = False) -> list[slice]:
    """Return the slice of the replicas that each chunk has.

    `gates` are those of one replica in one time step of a batch.
    """
    count = chunk_count(replicas, gates, epoch_is_a_call)
    bounds = np.linspace(0, replicas, count + 1).astype(int)
    return [slice(int(start), int(end)) for start, end in pairwise(bounds)]


def chunk_count(replicas: int, gates: int, epoch_is_a_call: bool = False) -> int:
    """Return the number of chunks for the arguments of `chunk_slices`."""
    if not epoch_is_a_call:
        return max(1, min(replicas, replicas * gates // MIN_GATES))
    small = min(SMALL_CHUNKS, replicas // MIN_REPLICAS)
    return max(1, small, min(replicas, replicas * gates // MIN_GATES_OF_CALLS))


class ReplicaChunks(Backend):
    """A backend made of chunks, each of which trains a slice of the replicas."""

    def __init__(
        self,
        factory: BackendFactory,
        slices: Sequence[slice],
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution,
    ) -> None:
        self.slices = slices
        at_once = min(execution.threads, len(slices))
        updates = execution.updates * len(slices)  # the chunks share a compiled program
        execution = replace(execution, updates=updates, backends=at_once)
        self.chunks: list[Backend] = []
        for replicas in slices:
            select = partial(axis_slice, replicas=replicas)
            numbers = {name: select(value) for name, value in training.numbers.items()}
            rules, start = replace(training, numbers=numbers), state_slice(state, replicas)
            self.chunks.append(factory(model, rules, data.map(select), start, execution))
        self.device = self.chunks[0].device
        self.kernel = f"{self.chunks[0].kernel}, in {len(slices)} chunks"
        self._threads = ThreadPoolExecutor(at_once)
        self._threads_each = execution.threads_each
        self._blas: Any = ThreadpoolController()
        self._compiled: set[tuple[Call, int]] = set()  # calls, and the replicas of their chunk

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""

        def work(chunk: Backend, replicas: slice) -> Array:
            return chunk.train_epoch(batches[:, replicas], lr[:, replicas])

        return np.concatenate(self._each(work, ("train", batches.shape)), axis=1)

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""

        def work(chunk: Backend, replicas: slice) -> Array:
            chunk_mask = None if mask is None else axis_slice(mask, replicas)
            return chunk.predict(axis_slice(x, replicas), chunk_mask)

        return np.concatenate(self._each(work, ("predict", x.shape)))

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        return merge_states([chunk.state() for chunk in self.chunks])

    def _each(self, work: Callable[[Backend, slice], Array], call: Call) -> list[Array]:
        """Return the results of `work` for each chunk, computed in threads.

        The first chunk of a size finishes a new kind of call before others begin: so its program is
        compiled once, and the others find it.
        """
        # Set here, since setting it within each thread would slow all of them.
        self._blas.limit(limits=self._threads_each, user_api="blas")
        futures: list[Future[Array]] = []
        try:
            for chunk, replicas in zip(self.chunks, self.slices, strict=True):
                futures.append(self._threads.submit(work, chunk, replicas))
                program = (call, replicas.stop - replicas.start)
                if program not in self._compiled:
                    self._compiled.add(program)
                    wait(futures)
            return [future.result() for future in futures]
        except BaseException:  # also Ctrl-C: chunks that wait for a thread must not begin
            for future in futures:
                future.cancel()
            raise
