"""A backend's replicas in parts: each a backend of its own, several of them at once in threads.

Replicas of small networks belong in one program, since they share what it costs to call anything.
Replicas of larger ones do not: together they outgrow the processor's caches, and no framework
spreads one small product well over several cores. Frameworks let go of Python's lock while they
compute, so parts in threads do. Measured on two cores, per update and replica of 32, LSTM of 128
units, 50 steps, batch 32: NumPy 14.6 ms in one piece, 7.2 in parts; JAX 15.3 and 7.2. Where a whole
epoch is one call, Python has no part in it, and two threads gain with small networks, too (32
units, 10 steps, batch 8: JAX 89 and 49 µs, Keras 80 and 43).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from backends import Array, Backend, Data, State, TrainingSpec
from harness.core.model import GATES, ModelSpec
from harness.system.gpu import gpu_present
from harness.training.replicas import merge_states, of, state_slice

LEAST = 32_768  # gates that a part has in one time step of a batch
FEW = 4  # replicas that a part of a small network has, at least


def in_chunks(
    backend: Callable[..., Backend],
    epoch_is_a_call: bool,
    model: ModelSpec,
    training: TrainingSpec,
    data: Data,
    state: State,
) -> Backend:
    """The backend; in parts if it has the replicas for it and runs on the CPU."""
    replicas = len(state.params["rnn.0.kernel"])
    gates = training.batch * GATES[model.cell] * model.units
    threads = training.threads if epoch_is_a_call and replicas >= FEW * training.threads else 1
    rows = parts_of(replicas, gates, threads)
    on_gpu = training.device != "cpu" and gpu_present()
    if len(rows) == 1 or on_gpu:
        return backend(model, training, data, state)
    parts: Any = ReplicaChunks(backend, rows, model, training, data, state)
    return parts


def parts_of(replicas: int, gates: int, least: int = 1) -> list[slice]:
    """At least so many slices of the replicas, each of which has so many gates in one time step of
    a batch."""
    count = count_of(replicas, gates, least)
    bounds = np.linspace(0, replicas, count + 1).astype(int)
    return [slice(int(start), int(end)) for start, end in pairwise(bounds)]


def count_of(replicas: int, gates: int, least: int = 1) -> int:
    """How many slices these are."""
    return max(least, min(replicas, replicas * gates // LEAST))


class ReplicaChunks:
    """See `backends.Backend`."""

    def __init__(
        self,
        backend: Callable[..., Backend],
        rows: list[slice],
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
    ) -> None:
        self.rows = rows
        at_once = min(training.threads, len(rows))
        updates = training.updates * len(rows)  # that a program serves which all parts share
        training = replace(training, updates=updates, at_once=at_once)
        self.parts = []
        for own in rows:
            numbers = {name: of(value, own) for name, value in training.numbers.items()}
            data_own = Data(*(of(array, own) for array in vars(data).values()))
            training_own = replace(training, numbers=numbers)
            self.parts.append(backend(model, training_own, data_own, state_slice(state, own)))
        self.device = self.parts[0].device
        self.kernel = f"{self.parts[0].kernel}, in {len(rows)} parts"
        self._threads = ThreadPoolExecutor(at_once)
        self._threads_each = training.own_threads
        self._blas = ThreadpoolController()
        self._known: set[Any] = set()

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""

        def work(part: Backend, own: slice) -> Array:
            return part.train_epoch(batches[:, own], lr[:, own])

        return np.concatenate(self._each(work, ("train", batches.shape)), axis=1)

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""

        def work(part: Backend, own: slice) -> Array:
            return part.predict(of(x, own), of(mask, own))

        return np.concatenate(self._each(work, ("predict", x.shape)))

    def state(self) -> State:
        """Return a copy of weights, optimiser memory and step count."""
        return merge_states([part.state() for part in self.parts])

    def _each(self, work: Callable[[Backend, slice], Array], form: Any) -> list[Array]:
        """What `work` returns for each part. Where the form is new, the first part of a size is
        waited for: then a program is compiled once and is there for the others."""
        self._blas.limit(limits=self._threads_each, user_api="blas")  # in a thread it slows all
        futures = []
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
