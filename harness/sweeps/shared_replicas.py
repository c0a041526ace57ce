"""A run's side of cotraining: what it may ask of the shared backend, and a proxy that asks for it.

Each request is a dataclass. A run that asks leaves its greenlet until `cotraining.py` has the
answer.
"""

from dataclasses import dataclass
from typing import Any

from greenlet import getcurrent

from backends import CPU, Array, Data, Execution, State, TrainingSpec
from harness.core.model import ModelSpec
from harness.search.pruning import Report

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Build:
    """Request to construct the shared backend with `state` for this run's replicas.

    The answer is the backend's device and kernel.
    """

    state: State


@dataclass(frozen=True)
class Train:
    """Request for `Backend.train_epoch`."""

    batches: Array
    lr: Array

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shapes without the replica axis, here the second one."""
        return tuple((len(array), *array.shape[2:]) for array in (self.batches, self.lr))


@dataclass(frozen=True)
class Predict:
    """Request for `Backend.predict`."""

    x: Array
    mask: Array | None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shapes without the replica axis."""
        return tuple(array.shape[1:] for array in (self.x, self.mask) if array is not None)


@dataclass(frozen=True)
class Save:
    """Request for `Backend.state`."""


@dataclass(frozen=True)
class Judge:
    """Request whether the run, a trial of a search, is pruned."""

    report: Report


@dataclass(frozen=True)
class Draw:
    """Request for a run's pictures, with the arguments of `figures.draw`."""

    arguments: tuple[Any, ...]


Request = Build | Train | Predict | Save | Judge | Draw
# These are answered after all other requests, in this order.
ANSWER_ORDER: dict[type, int] = {Judge: 1, Draw: 2, Train: 3}


def request_form(request: Request) -> tuple[Any, ...]:
    """Return the type and shapes of a request; one call answers all requests that agree in them."""
    return (type(request), *(request.shapes if isinstance(request, Train | Predict) else ()))


class SharedReplicas:
    """Proxy for one run's replicas of the shared backend; see `backends.Backend`."""

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


class SharedPruning:
    """A run's side of a search: every `interval` epochs it asks, together with the others."""

    def __init__(self, interval: int) -> None:
        self.interval = interval

    def prunes(self, epoch: int, values: dict[str, Array]) -> bool:
        """Return whether the run ends after this epoch: see `harness.training.pruning`."""
        return epoch % self.interval == 0 and ask(Judge(Report(epoch, values)))


def draw(*arguments: Any) -> list[str]:
    """Draw a run's pictures when those of the other runs are drawn; see `figures.draw`."""
    return ask(Draw(arguments))


def ask(request: Request) -> Any:
    """Suspend the run until the request is answered; return the answer."""
    parent = getcurrent().parent
    assert parent is not None
    return parent.switch(request)
