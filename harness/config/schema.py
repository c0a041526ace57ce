"""The settings as dataclasses, which own types, meanings and checks. The YAML files own values.

The groups whose fields depend on a choice (task, optimizer) name their dataclass by `_target_`; the
backend's `_target_` is the backend class itself.
"""

import math
from dataclasses import dataclass

from harness.config import tracking_store
from harness.config.backend import BackendConfig
from harness.config.model import ModelConfig
from harness.config.tracking import TrackingConfig
from harness.core.errors import ConfigError, check_choice, check_range
from harness.core.losses import check_loss
from harness.core.optimizers import Optimizer
from harness.core.semantics import Semantics
from harness.tasks import Task


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
        # PyTorch would start any number of threads.
        is_number = isinstance(self.threads, int) and 1 <= self.threads <= 1024
        if not is_number and self.threads != "auto":
            raise ConfigError(
                f"threads={self.threads}: must be a whole number from 1 to 1024, or auto."
            )
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
