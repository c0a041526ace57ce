"""The program that several runs share: the backend with the replicas of all, each run's a slice.

The replicas of a run that has ended stay in the program, and their results are ignored, until no
more than half of all replicas train: then the others are left behind, where that saves more time
than a smaller program takes to construct.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from backends import Array, Backend, BackendFactory, State
from harness.sweeps.estimates import estimate
from harness.sweeps.grouping import merge_plans
from harness.sweeps.shared_replicas import Build, Predict, Save, Train
from harness.training.plan import Plan
from harness.training.replicas import merge_states, state_slice

CONSTRUCTION = 2.0  # seconds of training that a smaller program has to save


class SharedProgram:
    """The backend of the runs with these plans, which `factory` constructs.

    Each method answers the requests of some of the runs, by their numbers, with one call of it.
    """

    def __init__(self, plans: Sequence[Plan], factory: BackendFactory) -> None:
        self.plans, self.factory = plans, factory
        self.start = self._arrange(range(len(plans)))
        self.training_runs = len(plans)
        self.backend: Backend | None = None

    def build(self, requests: Mapping[int, Build]) -> dict[int, tuple[str, str]]:
        """Construct the backend anew with the requested states in their slices.

        Shapes stay the same, so nothing is compiled again. The other runs keep their states, and
        the step count is theirs: a run that restores earlier weights does not train any more.
        """
        whole = self.start if self.backend is None else self.backend.state()
        states = {i: state_slice(whole, replicas) for i, replicas in self.slices.items()}
        states |= {i: request.state for i, request in requests.items()}
        backend = self._construct(list(states.values()), whole.step)
        return dict.fromkeys(requests, (backend.device, backend.kernel))

    def train(self, requests: Mapping[int, Train]) -> dict[int, Array]:
        """Train an epoch of the runs that still train, all of them at the same batches."""
        assert self.backend is not None
        if len(requests) < self.training_runs:
            self.training_runs = len(requests)
            self._leave_others_behind(self.backend, list(requests))
        batches = self._joined({i: request.batches for i, request in requests.items()}, 1)
        lr = self._joined({i: request.lr for i, request in requests.items()}, 1)
        losses = self.backend.train_epoch(batches, lr)
        return {i: losses[:, self.slices[i]] for i in requests}

    def predict(self, requests: Mapping[int, Predict]) -> dict[int, Array]:
        """Return each run's outputs."""
        assert self.backend is not None
        x = self._joined({i: request.x for i, request in requests.items()}, 0)
        masks = {i: r.mask for i, r in requests.items() if r.mask is not None}
        outputs = self.backend.predict(x, self._joined(masks, 0) if masks else None)
        return {i: outputs[self.slices[i]] for i in requests}

    def save(self, requests: Mapping[int, Save]) -> dict[int, State]:
        """Return each run's state."""
        assert self.backend is not None
        whole = self.backend.state()
        return {i: state_slice(whole, self.slices[i]) for i in requests}

    def _arrange(self, runs: Iterable[int]) -> State:
        """Give each run its slice of a program with these runs alone; return their first states."""
        plans = {i: self.plans[i] for i in runs}
        ends = np.cumsum([0, *(plan.config.replicas for plan in plans.values())])
        pieces = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.slices = dict(zip(plans, pieces, strict=True))
        self.training, self.data, start, self.execution = merge_plans(list(plans.values()))
        return start

    def _construct(self, states: Sequence[State], step: int) -> Backend:
        state, model = replace(merge_states(states), step=step), self.plans[0].model
        self.backend = self.factory(model, self.training, self.data, state, self.execution)
        return self.backend

    def _replicas(self, runs: Iterable[int]) -> int:
        return sum(self.plans[i].config.replicas for i in runs)

    def _leave_others_behind(self, backend: Backend, runs: Sequence[int]) -> None:
        """Go on with a program of these runs alone, if that saves more than it costs."""
        if 2 * self._replicas(runs) > self._replicas(self.slices):
            return
        whole, others = backend.state(), self.slices.keys() - set(runs)
        left = 1 - whole.step / max(1, self.execution.updates)
        if left * sum(estimate(self.plans[i]).seconds for i in others) < CONSTRUCTION:
            return
        states = [state_slice(whole, self.slices[i]) for i in runs]
        self._arrange(runs)
        self._construct(states, whole.step)

    def _joined(self, arrays: Mapping[int, Array], axis: int) -> Array:
        """Join the runs' arrays along their replica axis.

        A run without a request gets another run's values; its results are ignored.
        """
        pieces = []
        filler = next(iter(arrays.values()))
        for i, replicas in self.slices.items():
            array, count = arrays.get(i, filler), replicas.stop - replicas.start
            if array.shape[axis] not in (1, count):
                array = array.take([0], axis)
            shape = list(array.shape)
            shape[axis] = count
            pieces.append(np.broadcast_to(array, shape))
        return np.concatenate(pieces, axis)
