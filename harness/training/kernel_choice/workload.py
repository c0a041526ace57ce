"""What a kernel is chosen for: the network, the batches and how many updates there are.

Runs that share a program are one workload, with the replicas of all.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from backends import Array, Data, Execution, State, TrainingSpec
from harness.config.schema import Config
from harness.core.model import GATES, ModelSpec, operations_per_step
from harness.system.gpu import gpu_model, gpu_present
from harness.system.processor import own_cores, processor, usable_cores
from harness.training.plan import Plan

TIME_STEP = 5e-6  # seconds of a fast kernel for one time step of one layer, whatever its size
OPERATIONS = 50e9  # per second, of all cores
WIDE = 4_096  # gates in one time step of a batch


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """What trial steps are done with; `batches` `(S, R, B)` and `lr` `(S, R)` as in `Backend`."""

    data: Data
    start: State
    batches: Array
    lr: Array


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Training, as far as its speed depends on it; `arrays` are made when something is measured."""

    config: Config
    model: ModelSpec
    training: TrainingSpec
    execution: Execution
    replicas: int
    time_steps: int
    has_mask: bool
    arrays: Callable[[], Arrays]

    @property
    def cells(self) -> int:
        """Time steps times layers."""
        return self.time_steps * self.model.layers

    @property
    def step_seconds(self) -> float:
        """The seconds of an update that a fast kernel needs at least."""
        samples = self.replicas * self.execution.batch
        operations = samples * self.time_steps * operations_per_step(self.model)
        return self.cells * TIME_STEP + operations / OPERATIONS

    @property
    def pays_for_a_pool(self) -> bool:
        """Whether a framework whose pool is fixed as it starts is to get all cores for it.

        One replica of a small network is a tenth faster with one thread.
        """
        config = self.config
        gates = self.execution.batch * GATES[self.model.cell] * self.model.units
        is_open = config.threads == "auto" and not config.backend.sets_threads
        return is_open and not self.on_gpu and (self.replicas > 1 or gates >= WIDE)

    @property
    def on_gpu(self) -> bool:
        """Whether the backend takes a GPU."""
        config = self.config
        return config.device != "cpu" and "cuda" in config.backend.devices and gpu_present()

    def shape(self) -> dict[str, Any]:
        """Return all that the figures of a kernel depend on, for a file that people read."""
        backend, training = self.config.backend, self.training
        return {
            "backend": backend.name,
            "factory": str(backend.factory.get("_target_")),
            "versions": _versions(["rnn-harness", "numpy", *backend.packages.values()]),
            "network": asdict(self.model),
            "batch": self.execution.batch,
            "time_steps": self.time_steps,
            "replicas": self.replicas,
            "mask": self.has_mask,
            "loss": training.loss,
            "optimizer": training.optimizer,
            "clip": training.clip is not None,
            "precision": training.precision,
            "device": gpu_model() if self.on_gpu else "cpu",
            "threads": self.config.threads,
            "cores": [own_cores(), usable_cores()],  # that the run may use, and the machine's
            "processor": processor(),
        }


def workload_of(plan: Plan) -> Workload:
    """Return what a plan trains."""
    data = plan.splits.training_data()

    def arrays() -> Arrays:
        batches, lr = next(plan.schedule.epoch(1))
        return Arrays(data=data, start=plan.start, batches=batches, lr=lr)

    return Workload(
        config=plan.config,
        model=plan.model,
        training=plan.training,
        execution=plan.execution,
        replicas=plan.config.replicas,
        time_steps=data.x.shape[2],
        has_mask=data.mask is not None,
        arrays=arrays,
    )


def _versions(packages: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a user's own module, or this project run from its sources
            continue
    return found
