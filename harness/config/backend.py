"""The settings of the group `backend`, and the import of its framework."""

from dataclasses import dataclass
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from backends import BackendFactory
from harness.config.kernels import StartUp, start_ups
from harness.core.errors import ConfigError, check_choice, check_package, first_line
from harness.system import signals
from harness.system.garbage import not_collected
from harness.system.gpu import gpu_present
from harness.system.jax_platforms import check_jax_platforms


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
