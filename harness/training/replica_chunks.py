"""A backend's replicas in parts: each a backend of its own, several of them at once in threads.

Replicas of small networks belong in one program, since they share what it costs to call anything.
Replicas of larger ones do not: together they outgrow the processor's caches, and no framework
spreads one small product well over several cores. Frameworks let go of Python's lock while they
compute, so parts in threads do. Measured on two cores, per update and replica of 32, LSTM of 128
units, 50 steps, batch 32: NumPy 14.6 ms in one piece, 7.2 in parts; JAX 15.3 and 7.2. Where a whole
epoch is one call, Python has no part in it, and two threads gain with small networks, too (32
units, 10 steps, batch 8: JAX 89 and 49 µs, Keras 80 and 43).
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

LEAST = 32_768  # gates that a part has in one time step of a batch
FEW = 4  # replicas that a part of a small network has, at least

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
    """The backend; in parts if it has the replicas for it and runs on the CPU."""
    replicas = len(state.params["rnn.0.kernel"])
    gates = execution.batch * GATES[model.cell] * model.units
    several = epoch_is_a_call and replicas >= FEW * execution.threads
    rows = parts_of(replicas, gates, execution.threads if several else 1)
    on_gpu = execution.device != "cpu" and gpu_present()
    if len(rows) == 1 or on_gpu:
        return factory(model, training, data, state, execution)
    return ReplicaChunks(factory, rows, model, training, data, state, execution)


def parts_of(replicas: int, gates: int, least: int = 1) -> list[slice]:
    """At least so many slices of the replicas, each of which has so many gates in one time step of
    a batch."""
    count = count_of(replicas, gates, least)
    bounds = np.linspace(0, replicas, count + 1).astype(int)
    return [slice(int(start), int(end)) for start, end in pairwise(bounds)]


def count_of(replicas: int, gates: int, least: int = 1) -> int:
    """How many slices these are."""
    return max(least, min(replicas, replicas * gates // LEAST))


class ReplicaChunks(Backend):
    """See `backends.Backend`."""

    def __init__(
        self,
        factory: BackendFactory,
        rows: Sequence[slice],
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution,
    ) -> None:
        self.rows = rows
        at_once = min(execution.threads, len(rows))
        updates = execution.updates * len(rows)  # the chunks share a compiled program
        execution = replace(execution, updates=updates, backends=at_once)
        self.parts: list[Backend] = []
        for replicas in rows:
            chunk = partial(axis_slice, replicas=replicas)
            numbers = {name: chunk(value) for name, value in training.numbers.items()}
            rules, start = replace(training, numbers=numbers), state_slice(state, replicas)
            self.parts.append(factory(model, rules, data.map(chunk), start, execution))
        self.device = self.parts[0].device
        self.kernel = f"{self.parts[0].kernel}, in {len(rows)} parts"
        self._threads = ThreadPoolExecutor(at_once)
        self._threads_each = execution.threads_each
        self._blas: Any = ThreadpoolController()
        self._known: set[tuple[Call, int]] = set()

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""

        def work(part: Backend, own: slice) -> Array:
            return part.train_epoch(batches[:, own], lr[:, own])

        return np.concatenate(self._each(work, ("train", batches.shape)), axis=1)

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""

        def work(part: Backend, own: slice) -> Array:
            return part.predict(axis_slice(x, own), None if mask is None else axis_slice(mask, own))

        return np.concatenate(self._each(work, ("predict", x.shape)))

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        return merge_states([part.state() for part in self.parts])

    def _each(self, work: Callable[[Backend, slice], Array], form: Call) -> list[Array]:
        """What `work` returns for each part. Where the form is new, the first part of a size is
        waited for: then a program is compiled once and is there for the others."""
        self._blas.limit(limits=self._threads_each, user_api="blas")  # in a thread it slows all
        futures: list[Future[Array]] = []
        try:
            for part, own in zip(self.parts, self.rows, strict=True):
                futures.append(self._threads.submit(work, part, own))
                program = (form, own.stop - own.start)
                if program not in self._known:
                    self._known.add(program)
                    wait(futures)
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C among others: what has not begun need not
            for future in futures:
                future.cancel()
            raise
