"""The settings of `hydra/launcher=ray`, and the connection to its cluster."""

import logging
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.core.errors import ConfigError, check_package, first_line
from harness.sweeps.driver import Driver, More
from harness.sweeps.engines.settings import at_least
from harness.sweeps.estimates import Demand
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses
from harness.system.processor import usable_cores

REACH = 10.0  # seconds to reach a cluster
LOCAL = "local"  # address of a cluster on this machine for this sweep alone


@dataclass(frozen=True, kw_only=True)
class RayWorkers:
    """Settings of the launcher, about each unit but for the address. Raises `ConfigError`."""

    address: str
    cpus: float | None  # by default as many as it has threads
    gpus: float
    memory: float | None  # bytes; by default as Ray does without

    waits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_package("hydra/launcher=ray", "ray", "ray", "ray")
        at_least("cpus", self.cpus, 0.001)
        at_least("gpus", self.gpus, 0.0)
        at_least("memory", self.memory, 1.0)

    def count(self, demand: Demand) -> int:
        """Return how many units fit on the cluster at once. Raises `ConfigError` for none."""
        self._connect()
        from harness.sweeps.engines.ray_cluster import slots

        resources = self._resources(demand)
        count = slots(resources)
        if count == 0:
            words = ", ".join(f"{name} {each:g}" for name, each in resources.items() if each)
            raise ConfigError(f"hydra/launcher=ray: no node of the cluster has {words} for a unit.")
        return count

    def cores(self, count: int, threads: int) -> int:
        """Return the cores of the units, each of which has its own."""
        return count * threads

    def place(self, count: int) -> str:
        """Describe where the units are carried out."""
        return f"{count} at a time on Ray"

    def carry_out(
        self, units: Sequence[WorkUnit], more: More, _count: int, demand: Demand
    ) -> Losses:
        """Carry out units, and those of `more`; return the loss of each job."""
        from harness.sweeps.engines.ray_cluster import RayCluster

        return Driver(RayCluster(self._resources(demand))).run(units, more)

    def _resources(self, demand: Demand) -> Mapping[str, float]:
        cpus = demand.threads if self.cpus is None else self.cpus
        return {"CPU": cpus, "GPU": self.gpus, "memory": self.memory or 0.0}

    def _connect(self) -> None:
        """Connect to the cluster, or begin one that nobody else can use. Raises `ConfigError`."""
        if self.address == LOCAL and "RAY_AUTH_TOKEN" not in os.environ:
            # Ray listens on all addresses, and reads these when it is imported.
            os.environ["RAY_AUTH_MODE"] = "token"
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        _check_reachable(
            os.environ.get("RAY_ADDRESS", "") if self.address == "auto" else self.address
        )
        import ray
        from ray.exceptions import RayError

        if ray.is_initialized():
            return
        own = {"include_dashboard": False, "num_cpus": usable_cores()}
        more = own if self.address == LOCAL else {}
        try:
            ray.init(self.address, logging_level=logging.ERROR, log_to_driver=False, **more)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            raise ConfigError(
                f"hydra.launcher.address={self.address}: {first_line(error)}; must be {LOCAL}, "
                "auto for the cluster that runs here, or its address, such as 10.0.0.1:6379."
            ) from error


def _check_reachable(address: str) -> None:
    """Raise `ConfigError` where nobody listens at `HOST:PORT`, for which Ray waits two minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=REACH).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"hydra.launcher.address={address}: no Ray cluster answers ({error}); start one with "
            "ray start --head, or leave the address out."
        ) from error
