"""Several runs at once as the replicas of one backend, each exactly as if it ran alone.

Every run goes through `harness.runs.run` in a greenlet of its own: a function that can be left in
the middle and gone on with. The backend that it is given only notes what is asked of it and leaves
the greenlet; when all runs wait, what they ask is done in one call for all of them, and each goes
on with its own replicas' part of the answer. So no run knows of the others: each has its own loop,
journal, early stopping and files, and one that fails or ends takes no other with it.

A run that has ended keeps its place in the program, and what becomes of it there is of no interest.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from greenlet import getcurrent, greenlet

from backends import CPU, Array, Backend, BackendFactory, Data, Execution, State, TrainingSpec
from harness.core.model import ModelSpec
from harness.runs.figures import draw_all
from harness.sweeps.grouping import merged
from harness.training.plan import Plan
from harness.training.replicas import merge_states, state_slice

Work = Callable[[BackendFactory], Any]  # a run, given what constructs its backend
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Build:
    """Ask for the shared backend, with this run's replicas in `state`; answered by its device and
    kernel."""

    state: State


@dataclass(frozen=True)
class Train:
    """Ask for `Backend.train_epoch`."""

    batches: Array
    lr: Array

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Sizes without that of the replica axis, the second one here."""
        return tuple((len(array), *array.shape[2:]) for array in (self.batches, self.lr))


@dataclass(frozen=True)
class Predict:
    """Ask for `Backend.predict`."""

    x: Array
    mask: Array | None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Sizes without that of the replica axis."""
        return tuple(array.shape[1:] for array in (self.x, self.mask) if array is not None)


@dataclass(frozen=True)
class Save:
    """Ask for `Backend.state`."""


@dataclass(frozen=True)
class Draw:
    """Ask for a run's pictures; the arguments are those of `figures.draw`."""

    arguments: tuple[Any, ...]


Request = Build | Train | Predict | Save | Draw
LATE: dict[type, int] = {Draw: 1, Train: 2}  # these wait until nothing earlier is asked for


def form(request: Request) -> tuple[Any, ...]:
    """Return what requests that one call answers have in common."""
    return (type(request), *(request.shapes if isinstance(request, Train | Predict) else ()))


class SharedReplicas:
    """One run's replicas of the shared backend; see `backends.Backend`."""

    device: str
    kernel: str

    def __init__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> None:
        self.device, self.kernel = ask(Build(state))

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""
        return ask(Train(batches, lr))

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""
        return ask(Predict(x, mask))

    def state(self) -> State:
        """Return a copy of this run's weights, optimiser memory and step count."""
        return ask(Save())


def draw(*arguments: Any) -> list[str]:
    """Draw a run's pictures together with those of other runs; see `figures.draw`."""
    return ask(Draw(arguments))


def ask(request: Request) -> Any:
    """Leave the run until its answer is there."""
    parent = getcurrent().parent
    assert parent is not None
    return parent.switch(request)


class SharedTraining:
    """The shared backend and the runs that wait for it."""

    def __init__(self, plans: Sequence[Plan], factory: BackendFactory) -> None:
        self.plans, self.factory = plans, factory
        ends = np.cumsum([0, *(plan.config.replicas for plan in plans)])
        self.slices = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.training, self.data, self.start, self.execution = merged(plans)
        self.backend: Backend | None = None
        self.waiting: dict[int, Request] = {}
        self.runs: list[greenlet] = []

    def train(self, works: Sequence[Work], ended: Callable[[int, Any], None]) -> None:
        """Carry all runs to their ends; `ended` hears of each, its result or its exception.

        A stop (`KeyboardInterrupt`) reaches every run, so that each closes its record.
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
            stop.__notes__ = []  # each run's own: the end of the sweep lists them all
            raise

    def _go_on(self, i: int, answer: Any, ended: Callable[[int, Any], None]) -> None:
        """Let a run go on until it asks for something or ends."""
        run = self.runs[i]
        found: Any
        try:
            found = run.throw(answer) if isinstance(answer, Exception) else run.switch(answer)
        except Exception as error:
            found = error
        if self.runs[i].dead:
            self.waiting.pop(i, None)
            ended(i, found)
        else:
            self.waiting[i] = found

    @staticmethod
    def _stop(run: greenlet, stop: KeyboardInterrupt) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            run.throw(stop)

    def _factory_for(self, i: int) -> BackendFactory:
        """Return what constructs run i's backend: its replicas of the shared one, or for anything
        else than its own training (such as a gradient) a backend of its own."""

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
        """Answer some of those that wait: what is best done for many runs at once as late as can
        be, training last. If the backend breaks, that is the answer."""
        first = min(self.waiting, key=lambda i: LATE.get(type(self.waiting[i]), 0))
        same = form(self.waiting[first])
        chosen = [i for i, request in self.waiting.items() if form(request) == same]
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
            Draw: self._draw,
        }
        return methods[type(next(iter(requests.values())))](requests)

    def _build(self, requests: Mapping[int, Build]) -> dict[int, tuple[str, str]]:
        """Put the states in their places and construct the backend anew: shapes stay the same, so
        nothing is compiled again. The others are as far as they were: a run that gets earlier
        weights back does not train any more."""
        whole = self.start if self.backend is None else self.backend.state()
        states = [state_slice(whole, replicas) for replicas in self.slices]
        for i, request in requests.items():
            states[i] = request.state
        state, model = replace(merge_states(states), step=whole.step), self.plans[0].model
        self.backend = self.factory(model, self.training, self.data, state, self.execution)
        return dict.fromkeys(requests, (self.backend.device, self.backend.kernel))

    def _train(self, requests: Mapping[int, Train]) -> dict[int, Array]:
        assert not self.waiting, "all runs that go on are at the same batches"
        assert self.backend is not None
        batches = self._joined({i: request.batches for i, request in requests.items()}, 1)
        lr = self._joined({i: request.lr for i, request in requests.items()}, 1)
        losses = self.backend.train_epoch(batches, lr)
        return {i: losses[:, self.slices[i]] for i in requests}

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

    @staticmethod
    def _draw(requests: Mapping[int, Draw]) -> dict[int, list[str]]:
        pictures = draw_all([request.arguments for request in requests.values()])
        return dict(zip(requests, pictures, strict=True))

    def _joined(self, arrays: Mapping[int, Array], axis: int) -> Array:
        """Join the runs' arrays along their replica axis; a run that does not ask gets another's
        values, which it never sees."""
        pieces = []
        other = next(iter(arrays.values()))
        for i, replicas in enumerate(self.slices):
            array, count = arrays.get(i, other), replicas.stop - replicas.start
            if array.shape[axis] not in (1, count):
                array = array.take([0], axis)
            shape = list(array.shape)
            shape[axis] = count
            pieces.append(np.broadcast_to(array, shape))
        return np.concatenate(pieces, axis)
