"""Several runs at once as the replicas of one backend, each exactly as if it ran alone.

Every run goes through `harness.runs.run` in a greenlet of its own: a function that can be left in
the middle and gone on with. The backend that it is given only notes what is asked of it and leaves
the greenlet; when all runs wait, what they ask is done in one call for all of them, and each goes
on with its own replicas' part of the answer. So no run knows of the others: each has its own loop,
journal, early stopping and files, and one that fails or ends takes no other with it.

A run that has ended keeps its place in the program, and what becomes of it there is of no interest.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from greenlet import getcurrent, greenlet

from backends import Array, Backend, Data, State, TrainingSpec
from harness.core.model import ModelSpec
from harness.runs.figures import draw_all
from harness.sweeps.grouping import merged
from harness.training.plan import Plan
from harness.training.replicas import merge_states, state_slice

Load = Callable[..., Backend]
Work = Callable[[Load], Any]  # a run, given what constructs its backend

LATE = {"draw": 1, "train_epoch": 2}  # kinds that wait until nothing before them is asked for


@dataclass(frozen=True)
class Request:
    """What one run asks for; `kind` is the backend's method, or `build`, or `draw`."""

    kind: str
    arguments: tuple[Any, ...] = ()

    @property
    def form(self) -> tuple[Any, ...]:
        """Kind and sizes but for that of the replica axis, which is the second one in training.
        Requests of the same form are answered by one call."""
        axis = 1 if self.kind == "train_epoch" else 0
        arrays = [a for a in self.arguments if isinstance(a, np.ndarray)]
        return (self.kind, *(a.shape[:axis] + a.shape[axis + 1 :] for a in arrays))


class Part:
    """A run's own replicas of the shared backend; see `backends.Backend`."""

    device: str
    kernel: str

    def __init__(self, model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> None:
        self.device, self.kernel = ask("build", state)

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates; return the mean loss before each, `(S, R)`: see `backends.Backend`."""
        return ask("train_epoch", batches, lr)

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs `(R, N, O)` or `(R, N, T, O)`: see `backends.Backend`."""
        return ask("predict", x, mask)

    def state(self) -> State:
        """Return a copy of this run's weights, optimiser memory and step count."""
        return ask("state")


def draw(*arguments: Any) -> list[str]:
    """See `pictures.draw`; with those of other runs."""
    return ask("draw", *arguments)


def ask(kind: str, *arguments: Any) -> Any:
    """Leave the run until its answer is there."""
    parent = getcurrent().parent
    assert parent is not None
    return parent.switch(Request(kind, arguments))


class SharedTraining:
    """The shared backend and the runs that wait for it."""

    def __init__(self, plans: Sequence[Plan], load: Load) -> None:
        self.plans, self.load = plans, load
        ends = np.cumsum([0, *(plan.config.replicas for plan in plans)])
        self.slices = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        self.training, self.data, self.start = merged(plans)
        self.backend: Any = None
        self.waiting: dict[int, Request] = {}
        self.runs: list[greenlet] = []

    def train(self, works: Sequence[Work], ended: Callable[[int, Any], None]) -> None:
        """Carry all runs to their ends; `ended` hears of each, its result or its exception.

        A stop (`KeyboardInterrupt`) reaches every run, so that each closes its record.
        """
        self.runs = [greenlet(work) for work in works]
        answers: dict[int, Any] = {i: self._loader(i) for i in range(len(works))}
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

    def _loader(self, i: int) -> Load:
        """Constructs what run i is given: its part of the group, or for anything else than its own
        training (such as a gradient) a backend of its own."""

        def load(model: ModelSpec, training: TrainingSpec, data: Data, state: State) -> Backend:
            if training is not self.plans[i].training:
                return self.load(model, training, data, state)
            return Part(model, training, data, state)

        return load

    def _answers(self) -> dict[int, Any]:
        """Answer some of those that wait: what is best done for many runs at once as late as can
        be, training last. If the backend breaks, that is the answer."""
        first = min(self.waiting, key=lambda i: LATE.get(self.waiting[i].kind, 0))
        form = self.waiting[first].form
        chosen = [i for i, request in self.waiting.items() if request.form == form]
        requests = {i: self.waiting.pop(i) for i in chosen}
        try:
            return getattr(self, f"_{requests[first].kind}")(requests)
        except Exception as error:
            return dict.fromkeys(requests, error)

    def _build(self, requests: dict[int, Request]) -> dict[int, Any]:
        """Put the states in their places and construct the backend anew: shapes stay the same, so
        nothing is compiled again. The others are as far as they were: a run that gets earlier
        weights back does not train any more."""
        whole = self.start if self.backend is None else self.backend.state()
        parts = [state_slice(whole, own) for own in self.slices]
        for i, request in requests.items():
            parts[i] = request.arguments[0]
        state = replace(merge_states(parts), step=whole.step)
        self.backend = self.load(self.plans[0].model, self.training, self.data, state)
        return dict.fromkeys(requests, (self.backend.device, self.backend.kernel))

    def _train_epoch(self, requests: dict[int, Request]) -> dict[int, Any]:
        assert not self.waiting, "all runs that go on are at the same batches"
        batches, lr = self._whole(requests, 0, 1), self._whole(requests, 1, 1)
        losses = self.backend.train_epoch(batches, lr)
        return {i: losses[:, self.slices[i]] for i in requests}

    def _predict(self, requests: dict[int, Request]) -> dict[int, Any]:
        x = self._whole(requests, 0, 0)
        masked = next(iter(requests.values())).arguments[1] is not None
        mask = self._whole(requests, 1, 0) if masked else None
        outputs = self.backend.predict(x, mask)
        return {i: outputs[self.slices[i]] for i in requests}

    def _state(self, requests: dict[int, Request]) -> dict[int, Any]:
        whole = self.backend.state()
        return {i: state_slice(whole, self.slices[i]) for i in requests}

    @staticmethod
    def _draw(requests: dict[int, Request]) -> dict[int, Any]:
        pictures = draw_all([request.arguments for request in requests.values()])
        return dict(zip(requests, pictures, strict=True))

    def _whole(self, requests: dict[int, Request], argument: int, axis: int) -> Array:
        """An argument of all runs along its replica axis; who does not ask gets another's."""
        parts = []
        other = next(iter(requests.values()))
        for i, own in enumerate(self.slices):
            given = requests.get(i, other).arguments[argument]
            count = own.stop - own.start
            alike = given.shape[axis] in (1, count)
            given = given if alike else given.take([0], axis)
            wide = list(given.shape)
            wide[axis] = count
            parts.append(np.broadcast_to(given, wide))
        return np.concatenate(parts, axis)
