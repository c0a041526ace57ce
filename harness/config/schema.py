"""The settings as dataclasses, which own types, meanings and checks. The YAML files own values.

The groups whose fields depend on a choice (task, optimizer) name their dataclass by `_target_`; the
backend's `_target_` is the backend class itself.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from backends import BackendFactory
from harness.config import tracking_store
from harness.config.kernels import StartUp, start_ups
from harness.core.errors import ConfigError, check_choice, check_package, check_range, first_line
from harness.core.losses import check_loss
from harness.core.model import ModelSpec
from harness.core.optimizers import Optimizer
from harness.core.semantics import Semantics
from harness.system import signals
from harness.system.garbage import not_collected
from harness.system.gpu import gpu_present
from harness.system.jax_platforms import check_jax_platforms
from harness.tasks import Task

FLAVORS = {"torch": ("torch",), "keras": ("keras", "tensorflow")}  # and the packages they need


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network, except for its numbers of features and outputs, which the data decide."""

    cell: str  # rnn, lstm or gru
    units: int
    layers: int  # stacked recurrent layers, all of `units`
    activation: str  # of the simple cell: tanh or relu; LSTM and GRU always use tanh
    returns: str | None  # last, every_step, or null: every step if the task has targets there
    head: str  # dense, or none: the hidden state is the output
    # A file of initial weights; null: drawn. Configurations of earlier versions lack it.
    weights: str | None = None

    def __post_init__(self) -> None:
        check_choice("model.cell", self.cell, ("rnn", "lstm", "gru"))
        check_range("model.units", self.units, 1)
        check_range("model.layers", self.layers, 1)
        check_choice("model.activation", self.activation, ("tanh", "relu"))
        check_choice("model.returns", self.returns or "last", ("last", "every_step"))
        check_choice("model.head", self.head, ("dense", "none"))
        if self.cell != "rnn" and self.activation != "tanh":
            raise ConfigError(
                f"model.activation={self.activation}: with model={self.cell} it must be tanh, "
                "since PyTorch's LSTM and GRU have no other; relu needs model=rnn."
            )

    def spec(self, task: Task, semantics: Semantics, features: int, outputs: int) -> ModelSpec:
        """Return the network for data with `features` inputs and `outputs` targets.

        Raises `ConfigError` if the network does not fit the task's targets.
        """
        returns = self.returns or ("every_step" if task.every_step else "last")
        if returns == "every_step" and not task.every_step:
            raise ConfigError(
                f"model.returns=every_step: task={task.name} has one target per sequence; use last."
            )
        if self.head == "none" and self.units != outputs:
            raise ConfigError(
                f"model.units={self.units}: without a head the last hidden state is the output, "
                f"so task={task.name} needs model.units={outputs}, or model.head=dense."
            )
        return self.sized(semantics, features, outputs, returns)

    def sized(self, semantics: Semantics, features: int, outputs: int, returns: str) -> ModelSpec:
        """Return the network with the sizes that the data decide, without checks."""
        return ModelSpec(
            cell=self.cell,
            features=features,
            units=self.units,
            layers=self.layers,
            activation=self.activation,
            returns=returns,
            head=self.head,
            outputs=outputs,
            biases=semantics.gru_biases if self.cell == "gru" else semantics.biases,
            reset=semantics.gru_reset,
        )


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """The training loop."""

    epochs: int  # 0: a forward pass only
    batch_size: int
    shuffle: bool
    schedule: str  # of the learning rate: constant, cosine or exponential
    final_lr: float  # where a schedule ends, as a fraction of optimizer.lr
    clip: float | None  # largest gradient, measured by semantics.clip_scope; null: no clipping
    patience: int | None  # early stopping: epochs without a better val/loss; null: off
    min_delta: float  # by how much val/loss must fall to count as better
    checkpoint_every: int  # epochs; 0: only the last epoch's
    save_gradient: bool  # save the first batch's gradient at the initial weights
    # Kernel and threads follow from the settings alone; nothing is measured.
    deterministic: bool = False
    # How many of the last checkpoints stay, besides the best; null: all. Configurations of earlier
    # versions lack it.
    keep_checkpoints: int | None = 2
    # Files that give the order of the samples and each step's rate, see
    # harness/training/given_schedule.py; null: drawn, and by the schedule.
    order: str | None = None
    learning_rates: str | None = None

    def __post_init__(self) -> None:
        check_range("trainer.epochs", self.epochs, 0)
        check_range("trainer.epochs", self.epochs, 0, 10**12)  # steps are counted in 64 bits
        check_range("trainer.batch_size", self.batch_size, 1)
        check_choice("trainer.schedule", self.schedule, ("constant", "cosine", "exponential"))
        check_range("trainer.final_lr", self.final_lr, 0.0, 1.0)
        check_range("trainer.patience", self.patience, 1)
        check_range("trainer.min_delta", self.min_delta, 0.0)
        check_range("trainer.checkpoint_every", self.checkpoint_every, 0)
        check_range("trainer.keep_checkpoints", self.keep_checkpoints, 1)
        if self.clip is not None and not 0 < self.clip < math.inf:
            raise ConfigError(f"trainer.clip={self.clip:g}: must be above 0, or null.")
        if self.schedule == "exponential" and self.final_lr == 0:
            raise ConfigError("trainer.final_lr=0: an exponential schedule needs it above 0.")
        if self.learning_rates is not None and self.schedule != "constant":
            raise ConfigError(
                f"trainer.schedule={self.schedule}: must be constant with trainer.learning_rates, "
                "which has every step's rate."
            )


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where a run is tracked besides its own journal."""

    name: str  # mlflow, or journal: no MLflow at all
    uri: str | None  # MLflow's; null: MLFLOW_TRACKING_URI, or else sqlite in results/mlflow.db
    experiment: str | None  # null: MLFLOW_EXPERIMENT_NAME, or else one experiment per task
    flush_seconds: float  # how long metrics may wait to be sent in one batch
    wait_seconds: float = 10.0  # how long the end of the program may wait for MLflow
    model: bool = False  # whether MLflow gets the trained network, too, to be served
    flavors: list[str] = field(default_factory=list[str])  # of that model: torch, keras

    def __post_init__(self) -> None:
        check_choice("tracking.name", self.name, ("mlflow", "journal"))
        check_range("tracking.flush_seconds", self.flush_seconds, 0.0)
        check_range("tracking.wait_seconds", self.wait_seconds, 0.0)
        for flavor in self.flavors:
            check_choice("tracking.flavors", flavor, FLAVORS)
            for package in FLAVORS[flavor]:
                check_package(f"tracking.flavors=[{flavor}]", package, package)
        if self.flavors and not self.model:
            flavors = ",".join(self.flavors)
            raise ConfigError(f"tracking.flavors=[{flavors}]: needs tracking.model=true.")

    def experiment_or(self, usual: str) -> str:
        """Return the experiment's name: from the settings, the environment, or else `usual`."""
        return self.experiment or tracking_store.experiment_in_environment() or usual


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """What a sweep does as a whole. No run depends on it, and none records it."""

    file: str | None  # of YAML, which lists its jobs
    skip: str | None  # finished: jobs that a run in the results has trained already
    resume: str | None  # the sweep to go on with: its folder, or last
    dry_run: bool  # show the jobs, and train nothing
    fail_fast: bool  # a job that fails stops all others

    def __post_init__(self) -> None:
        if self.skip is not None:
            check_choice("sweep.skip", self.skip, ("finished",))


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """A backend: the packages and devices it can use, and Hydra's recipe for constructing it.

    Kernels are implementations of the same computation. With `auto` a long run measures them, see
    `harness/training/kernel_choice`, and any other has that of the backend's own rule.
    """

    name: str
    packages: dict[str, str]  # module that must be there -> what to pip install
    devices: list[str]
    factory: dict[str, Any]  # _target_ and _partial_, for hydra.utils.instantiate
    kernel: str = "auto"
    # Names, or a mapping of names to `StartUp`: a number, or {seconds: number, per: time_step}.
    kernels: Any = None
    # An epoch is one call that runs outside Python: see harness/training/replica_chunks.py.
    epoch_is_a_call: bool = False
    # The number of threads may differ from call to call: see harness/training/execution.py.
    sets_threads: bool = False

    def __post_init__(self) -> None:
        _ = self.start_ups

    @property
    def start_ups(self) -> dict[str, StartUp]:
        """The kernels with what their start takes. Raises `ConfigError`."""
        return start_ups(self.kernels)

    def check(self, device: str) -> None:
        """Raise `ConfigError` for a backend or device that cannot run here.

        No framework is imported for it.
        """
        check_choice("backend.kernel", self.kernel, ("auto", *self.start_ups))
        for module, package in self.packages.items():
            check_package(f"backend={self.name}", module, package)
        if "jax" in self.packages:
            check_jax_platforms()
        if device == "cuda" and "cuda" not in self.devices:
            raise ConfigError(f"device=cuda: backend={self.name} runs on the CPU; use device=cpu.")
        if device == "cuda" and not gpu_present():
            raise ConfigError("device=cuda: no NVIDIA GPU found here; use device=cpu or auto.")

    def imported(self) -> BackendFactory:
        """Import the framework and return the backend's class, with Hydra's recipe applied."""
        try:
            # A stop during an import can crash a framework's own code.
            with signals.deferred(), not_collected():
                return instantiate(self.factory)
        except InstantiationException as error:
            reason = first_line(error.__cause__ or error)
            raise ConfigError(f"backend={self.name}: cannot be loaded ({reason}).") from error


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The keys at the top level."""

    seed: int  # of the first replica; data, weights and batch order all follow from it
    replicas: int  # runs trained at once, with seeds seed, seed+1, …
    precision: str
    device: str
    threads: int | str  # of the framework's one thread pool, or auto
    results: str  # folder, relative to the current directory
    resume: str | None  # the run to resume: its directory, MLflow run id or name
    checkpoint: str | None  # which of its checkpoints, such as epoch-00010; null: the last

    def __post_init__(self) -> None:
        check_range("seed", self.seed, 0)
        check_range("replicas", self.replicas, 1)
        check_choice("precision", self.precision, ("float32", "float64"))
        check_choice("device", self.device, ("auto", "cpu", "cuda"))
        if isinstance(self.threads, str) and self.threads != "auto":
            raise ConfigError(
                f"threads={self.threads}: must be a whole number from 1 to 1024, or auto."
            )
        if isinstance(self.threads, int):
            check_range("threads", self.threads, 1)
            check_range("threads", self.threads, 1, 1024)  # PyTorch would start any number
        if not self.results.strip():
            raise ConfigError("results=: must name a folder, such as results=results.")

    @property
    def least_threads(self) -> int:
        """The threads that a run needs at least."""
        return self.threads if isinstance(self.threads, int) else 1

    @property
    def seeds(self) -> list[int]:
        """The seed of each replica."""
        return list(range(self.seed, self.seed + self.replicas))


@dataclass(frozen=True, kw_only=True)
class Config(RunConfig):
    """The configuration of one run, complete and checked."""

    task: Task
    model: ModelConfig
    optimizer: Optimizer
    semantics: Semantics
    backend: BackendConfig
    trainer: TrainerConfig
    tracking: TrackingConfig

    def __post_init__(self) -> None:
        super().__post_init__()
        self.backend.check(self.device)
        check_loss(self.task.loss, f"task={self.task.name}: ")
        if self.trainer.patience is not None and self.task.val_fraction == 0:
            raise ConfigError(
                f"trainer.patience={self.trainer.patience}: early stopping needs validation data; "
                "set task.val_fraction above 0."
            )
        if self.tracking.name == "mlflow":
            tracking_store.check(self.tracking.uri, self.tracking.experiment)
            if self.experiment_name == self.task.name:
                tracking_store.check_experiment("task.name", self.task.name)

    @property
    def experiment_name(self) -> str:
        """The MLflow experiment that the run belongs to."""
        return self.tracking.experiment_or(self.task.name)


NODES = {
    "model": ModelConfig,
    "semantics": Semantics,
    "backend": BackendConfig,
    "trainer": TrainerConfig,
    "tracking": TrackingConfig,
}
