"""Train several runs at once as replicas of one backend, each exactly as if it ran alone.

Every run executes `harness.runs.run` in its own greenlet, a function that can be suspended and
resumed. Its backend is a proxy: a call of it suspends the greenlet with a request. When all runs
wait, the requests are answered by one call of the shared backend, and each run is resumed with its
replicas' slice of the result. So no run knows of the others: each has its own loop, journal, early
stopping and files, and one that fails or ends does not affect the others.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from greenlet import greenlet

from backends import CPU, Array, Backend, BackendFactory, Data, Execution, State, TrainingSpec
from harness.core.model import ModelSpec
from harness.runs.figures import draw_all
from harness.sweeps.shared_program import SharedProgram
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

Work = Callable[[BackendFactory], Any]  # carries out a run with a backend from this factory
Verdict = Callable[[Mapping[int, Judge]], dict[int, bool]]  # which of the runs are pruned


class SharedTraining:
    """The shared program and the runs that wait for it.

    `plans` are those of the runs; `factory` constructs the backend. `judge` decides which trials of
    a search are pruned, from the requests of all that are at the same epoch.
    """

    def __init__(
        self, plans: Sequence[Plan], factory: BackendFactory, judge: Verdict | None = None
    ) -> None:
        self.plans, self.factory, self.judge = plans, factory, judge
        self.program = SharedProgram(plans, factory)
        self.waiting: dict[int, Request] = {}
        self.runs: list[greenlet] = []

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
            Build: self.program.build,
            Train: self._train,
            Predict: self.program.predict,
            Save: self.program.save,
            Judge: self._judge,
            Draw: self._draw,
        }
        return methods[type(next(iter(requests.values())))](requests)

    def _train(self, requests: Mapping[int, Train]) -> dict[int, Array]:
        assert not self.waiting, "all runs that still train are at the same batches"
        return self.program.train(requests)

    def _judge(self, requests: Mapping[int, Judge]) -> dict[int, bool]:
        assert self.judge is not None
        return self.judge(requests)

    @staticmethod
    def _draw(requests: Mapping[int, Draw]) -> dict[int, list[str] | Exception]:
        pictures = draw_all([request.arguments for request in requests.values()])
        return dict(zip(requests, pictures, strict=True))
