"""The contract between the trainer and a backend. No framework is imported here.

Every array that crosses this border is NumPy's and has a leading replica axis R; in data and in the
optimiser's numbers, an axis of length 1 is shared by all replicas. A backend is asked for an epoch,
not for a step, so it may compile the whole epoch into one call. It knows nothing of metrics, seeds,
logging or the number of epochs.

There is no `gradients()`: one SGD step with lr = 2³⁰ gives them as `(before - after) / lr`, and a
power of two loses nothing to rounding (`harness/training/gradient.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from harness.core.model import ModelSpec, Params
from harness.core.semantics import Semantics

Array = np.ndarray


@dataclass
class State:
    """All that training changes. `slots` maps an optimiser memory (`m`, `v`, `velocity`) to arrays
    with the parameters' names and shapes; `step` is the number of updates done."""

    params: Params
    slots: dict[str, Params] = field(default_factory=dict)
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """The rules of training, which decide its numbers. `numbers` holds the optimiser's own, as
    `(R,)` or `(1,)` arrays: `weight_decay`, and `momentum` for sgd; `beta1`, `beta2` for adam;
    `rho` for rmsprop."""

    loss: str  # "mse", or "bce" on logits
    optimizer: str  # "sgd", "adam" or "rmsprop"
    numbers: dict[str, Array]
    nesterov: bool = False
    clip: float | None = None  # largest gradient, by semantics.clip_scope, each replica on its own
    semantics: Semantics
    precision: str  # "float32" or "float64"


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Where a backend computes, and what it may assume to be fast; numbers depend on it by their
    rounding alone. Zeros stand for what is not known."""

    device: str = "cpu"  # "auto", "cpu" or "cuda"
    threads: int = 1
    kernel: str = "auto"  # which of a backend's formulations, where it has several
    updates: int = 0  # how many are to come: compiling pays for many
    batch: int = 0  # samples of an update
    backends: int = 1  # that train at the same time and share the threads

    @property
    def threads_each(self) -> int:
        """Threads of each of the backends, for a framework whose threads can be shared out."""
        return max(1, self.threads // self.backends)


CPU = Execution()


@dataclass(frozen=True)
class Data:
    """The training split: `x` `(R, N, T, F)`, `y` `(R, N, O)` or, at every step, `(R, N, T, O)`.

    `mask` `(R, N, T)`, bool, is False at time steps that are only padding: they carry the state of
    the step before (zeros at first), in every layer, and targets there do not count in the loss,
    which is a mean over the batch's real steps. None: every step is real.
    """

    x: Array
    y: Array
    mask: Array | None = None

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name; without a mask there is none of that name."""
        arrays = {"x": self.x, "y": self.y}
        return arrays if self.mask is None else arrays | {"mask": self.mask}

    def map(self, function: Callable[[Array], Array]) -> "Data":
        """Apply `function` to each array."""
        return Data(**{name: function(array) for name, array in self.arrays().items()})


class Backend(Protocol):
    """One network in training. Constructing it from a `State` is also how a run is resumed."""

    # With `auto`, only the framework knows:
    device: str  # where it runs, "cpu" or "cuda"
    kernel: str  # which formulation it uses; all of them compute the same

    def __init__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> None: ...

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates and return each one's mean loss *before* it: float array `(S, R)`.

        `batches` `(S, R, B)` holds indices into the N training samples, `lr` `(S, R)` the learning
        rate of every step. A shorter last batch of an epoch is a second call with its own B.
        """
        ...

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        """Return raw outputs (logits where the loss is `bce`) for `x` `(R, N, T, F)` and, as in
        `Data`, `mask` `(R, N, T)`: `(R, N, O)`, or `(R, N, T, O)` when the model returns every
        step."""
        ...

    def state(self) -> State:
        """Return a NumPy copy of the weights, the optimiser's memory and the step count."""
        ...


class BackendFactory(Protocol):
    """What constructs a backend: its class, or a function with the same arguments."""

    def __call__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
        /,
    ) -> Backend:
        """Construct a backend that trains `model` on `data`, beginning with `state`."""
        ...
