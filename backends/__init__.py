"""The contract between the trainer and a backend. No framework is imported here.

Every array in the contract is a NumPy array with a leading replica axis R; in data and in the
optimiser's numbers, a replica axis of length 1 is shared by all replicas. A call trains an epoch,
not a step, so a backend may compile the whole epoch into one program. It knows nothing of metrics,
seeds, logging or the number of epochs.

There is no `gradients()`: one SGD step with lr = 2³⁰ gives them as `(before - after) / lr`, and a
power of two loses nothing to rounding (`harness/training/gradient.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from harness.core.arrays import Array
from harness.core.model import ModelSpec, Params
from harness.core.semantics import Semantics


@dataclass
class State:
    """The state of training: everything that an update changes.

    `slots` maps the optimiser's slot variables (`m`, `v`, `velocity`) to arrays with the
    parameters' names and shapes `(R, …)`; `step` is the number of updates done.
    """

    params: Params
    slots: dict[str, Params] = field(default_factory=dict)
    step: int = 0


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """The rules of training, which decide its results.

    `numbers` holds the optimiser's hyperparameters as `(R,)` or `(1,)` arrays: `weight_decay`, and
    `momentum` for sgd; `beta1`, `beta2` for adam; `rho` for rmsprop.
    """

    loss: str  # "mse", or "bce" on logits
    optimizer: str  # "sgd", "adam" or "rmsprop"
    numbers: dict[str, Array]
    nesterov: bool = False
    clip: float | None = None  # limit of each replica's gradient, by semantics.clip_scope
    semantics: Semantics
    precision: str  # "float32" or "float64"


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Where a backend computes, and facts by which it chooses what is fast.

    Results depend on these by rounding alone. 0 stands for a number that is not known.
    """

    device: str = "cpu"  # "auto", "cpu" or "cuda"
    threads: int = 1
    each: int = 0  # threads of each backend; 0: an equal share of all
    kernel: str = "auto"  # one of the backend's implementations of the network
    updates: int = 0  # expected number of updates: compiling pays for many
    batch: int = 0  # samples of an update
    backends: int = 1  # number of backends that train at the same time and share the threads

    @property
    def threads_each(self) -> int:
        """The threads of each backend, for a framework with a thread count per backend."""
        return self.each or max(1, self.threads // self.backends)


CPU = Execution()


@dataclass(frozen=True)
class Data:
    """The training split: `x` `(R, N, T, F)`, `y` `(R, N, O)` or, at every step, `(R, N, T, O)`.

    `mask` `(R, N, T)`, bool, is False at time steps that are only padding. There every layer keeps
    the state of the step before (zeros at first), and targets do not count in the loss, which is a
    mean over the batch's real steps. None: every step is real.
    """

    x: Array
    y: Array
    mask: Array | None = None

    def arrays(self) -> dict[str, Array]:
        """Return the arrays by name; `mask` is left out where it is None."""
        arrays = {"x": self.x, "y": self.y}
        return arrays if self.mask is None else arrays | {"mask": self.mask}

    def map(self, function: Callable[[Array], Array]) -> "Data":
        """Apply `function` to each array."""
        return Data(**{name: function(array) for name, array in self.arrays().items()})


class Backend(Protocol):
    """One network in training; a run is resumed by constructing it from a checkpoint's `State`."""

    # The choices that `auto` leaves to the backend:
    device: str  # "cpu" or "cuda"
    kernel: str  # the implementation of the network; all kernels compute the same

    def __init__(
        self,
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> None: ...

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        """Do S updates and return the mean loss *before* each of them: float array `(S, R)`.

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
    """A callable that constructs a backend: its class, or a function with the same arguments."""

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
