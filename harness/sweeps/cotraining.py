"""Train several runs at once as replicas of one backend, each exactly as if it ran alone.

Every run executes `harness.runs.run` in its own greenlet, a function that can be suspended and
resumed. Its backend is a proxy: a call of it suspends the greenlet with a request. When all runs
wait, the requests are answered by one call of the shared backend, and each run is resumed with its
replicas' slice of the result. So no run knows of the others: each has its own loop, journal, early
stopping and files, and one that fails or ends does not affect the others.

The replicas of a run that has ended stay in the program, and their results are ignored, until no
more than half of all replicas train: then the others are left behind, where that saves more time
than a smaller program takes to construct.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from greenlet import greenlet

from backends import CPU, Array, Backend, BackendFactory, Data, Execution, State, TrainingSpec
from harness.core.model import ModelSpec
from harness.runs.figures import draw_all
from harness.sweeps.estimates import estimate
from harness.sweeps.grouping import merge_plans
from harness.sweeps.shared_replicas import (
    ANSWER_ORDER,
    Build,
    Draw,
    Judge,
    Predict,
    Request,
    Save,
    SharedReplicas,
    Train,
    request_form,
)
from harness.training.plan import Plan
from harness.training.replicas import merge_states, state_slice

Work = Callable[[BackendFactory], Any]  # carries out a run with a backend from this factory
Verdict = Callable[[Mapping[int, Judge]], dict[int, bool]]  # which of the runs are pruned
CONSTRUCTION = 2.0  # seconds of training that a smaller program has to save


class SharedTraining:
    """The shared backend and the runs that wait for it.

    `plans` are those of the runs; `factory` constructs the backend. `judge` decides which trials of
    a search are pruned, from the requests of all that are at the same epoch.
    """

    def __init__(
        self, plans: Sequence[Plan], factory: BackendFactory, judge: Verdict | None = None
    ) -> None:
        self.plans, self.factory, self.judge = plans, factory, judge
        self.start = self._arrange(range(len(plans)))
        self.training_runs = len(plans)
        self.backend: Backend | None = None
        self.waiting: dict[int, Request] = {}
        self.runs: list[greenlet] = []

    def _arrange(self, runs: Iterable[int]) -> State:
        """Give each run its slice of a program with these runs alone; return their first states."""
        plans = {i: self.plans[i] for i in runs}
        ends = np.cumsum([0, *(plan.config.replicas for plan in plans.values())])
        pieces = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.slices = dict(zip(plans, pieces, strict=True))
        self.training, self.data, start, self.execution = merge_plans(list(plans.values()))
        return start

    def train(self, works: Sequence[Work], ended: Callable[[int, Any], None]) -> None:
        """Carry out all runs; as run i ends, call `ended` with i and its result or exception.

        A stop (`KeyboardInterrupt`) is raised in every run, so that each closes its record.
        """
        self.runs = [greenlet(work) for work in works]
        answers: dict[int, Any] = {i: self._factory_for(i) for i in range(len(works))}
        try:
            while answers:
                for i, answer in answers.items():
                    self._go_on(i, answer, ended)
                answers = self._answers() if self.waiting else {}
        except KeyboardInterrupt as stop:
            for run in self.runs:
                if not run.dead:
                    self._stop(run, stop)
            stop.__notes__ = []  # each run added its own; the summary of the sweep lists them all
            raise

    def _go_on(self, i: int, answer: Any, ended: Callable[[int, Any], None]) -> None:
        """Resume a run with its answer until its next request or its end."""
        run = self.runs[i]
        outcome: Any  # the next request, or the result of the run
        try:
            outcome = run.throw(answer) if isinstance(answer, Exception) else run.switch(answer)
        except Exception as error:
            outcome = error
        if self.runs[i].dead:
            self.waiting.pop(i, None)
            ended(i, outcome)
        else:
            self.waiting[i] = outcome

    @staticmethod
    def _stop(run: greenlet, stop: KeyboardInterrupt) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            run.throw(stop)

    def _factory_for(self, i: int) -> BackendFactory:
        """Return the backend factory of run i.

        For the run's own training it gives a proxy of the shared backend, for anything else, such
        as a gradient, a separate backend.
        """

        def factory(
            model: ModelSpec,
            training: TrainingSpec,
            data: Data,
            state: State,
            execution: Execution = CPU,
        ) -> Backend:
            shared = training is self.plans[i].training
            constructor = SharedReplicas if shared else self.factory
            return constructor(model, training, data, state, execution)

        return factory

    def _answers(self) -> dict[int, Any]:
        """Answer the waiting requests of one form; if the backend raises, with its exception.

        Pictures and training come last, since they gain most from many runs at once.
        """
        first = min(self.waiting, key=lambda i: ANSWER_ORDER.get(type(self.waiting[i]), 0))
        chosen_form = request_form(self.waiting[first])
        chosen = [i for i, request in self.waiting.items() if request_form(request) == chosen_form]
        requests = {i: self.waiting.pop(i) for i in chosen}
        try:
            return self._answer(requests)
        except Exception as error:
            return dict.fromkeys(requests, error)

    def _answer(self, requests: Mapping[int, Any]) -> dict[int, Any]:
        """Answer requests of one form."""
        methods: dict[type, Callable[[Mapping[int, Any]], dict[int, Any]]] = {
            Build: self._build,
            Train: self._train,
            Predict: self._predict,
            Save: self._save,
            Judge: self._judge,
            Draw: self._draw,
        }
        return methods[type(next(iter(requests.values())))](requests)

    def _build(self, requests: Mapping[int, Build]) -> dict[int, tuple[str, str]]:
        """Construct the backend anew with the requested states in their slices.

        Shapes stay the same, so nothing is compiled again. The other runs keep their states, and
        the step count is theirs: a run that restores earlier weights does not train any more.
        """
        whole = self.start if self.backend is None else self.backend.state()
        states = {i: state_slice(whole, replicas) for i, replicas in self.slices.items()}
        states |= {i: request.state for i, request in requests.items()}
        backend = self._construct(list(states.values()), whole.step)
        return dict.fromkeys(requests, (backend.device, backend.kernel))

    def _construct(self, states: Sequence[State], step: int) -> Backend:
        state, model = replace(merge_states(states), step=step), self.plans[0].model
        self.backend = self.factory(model, self.training, self.data, state, self.execution)
        return self.backend

    def _train(self, requests: Mapping[int, Train]) -> dict[int, Array]:
        assert not self.waiting, "all runs that still train are at the same batches"
        assert self.backend is not None
        if len(requests) < self.training_runs:
            self.training_runs = len(requests)
            self._leave_others_behind(self.backend, list(requests))
        batches = self._joined({i: request.batches for i, request in requests.items()}, 1)
        lr = self._joined({i: request.lr for i, request in requests.items()}, 1)
        losses = self.backend.train_epoch(batches, lr)
        return {i: losses[:, self.slices[i]] for i in requests}

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

    def _predict(self, requests: Mapping[int, Predict]) -> dict[int, Array]:
        assert self.backend is not None
        x = self._joined({i: request.x for i, request in requests.items()}, 0)
        masks = {i: r.mask for i, r in requests.items() if r.mask is not None}
        outputs = self.backend.predict(x, self._joined(masks, 0) if masks else None)
        return {i: outputs[self.slices[i]] for i in requests}

    def _save(self, requests: Mapping[int, Save]) -> dict[int, State]:
        assert self.backend is not None
        whole = self.backend.state()
        return {i: state_slice(whole, self.slices[i]) for i in requests}

    def _judge(self, requests: Mapping[int, Judge]) -> dict[int, bool]:
        assert self.judge is not None
        return self.judge(requests)

    @staticmethod
    def _draw(requests: Mapping[int, Draw]) -> dict[int, list[str] | Exception]:
        pictures = draw_all([request.arguments for request in requests.values()])
        return dict(zip(requests, pictures, strict=True))

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
