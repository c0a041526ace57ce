"""The settings of `hydra/launcher=batched`: the program itself, or processes of this machine."""

import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from harness.core.errors import ConfigError
from harness.sweeps.driver import Driver, More
from harness.sweeps.estimates import Demand
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses, carry_out_unit
from harness.sweeps.worker_count import worker_count
from harness.system.processor import usable_cores


@dataclass(frozen=True, kw_only=True)
class LocalWorkers:
    """Settings of the launcher: `hydra.launcher.workers` and `.per_gpu`. Raises `ConfigError`."""

    workers: int | str  # or auto
    per_gpu: int

    waits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name, value in (("workers", self.workers), ("per_gpu", self.per_gpu)):
            is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            if not is_number and (name, value) != ("workers", "auto"):
                valid = "auto or a whole number" if name == "workers" else "a whole number"
                raise ConfigError(f"hydra.launcher.{name}={value}: must be {valid} of at least 1.")

    def count(self, demand: Demand) -> int:
        """Return the number of processes."""
        if isinstance(self.workers, int):
            return self.workers
        if demand.gpus:
            return len(demand.gpus) * self.per_gpu
        return worker_count(demand.jobs, demand.threads)

    def cores(self, _count: int, _threads: int) -> int:
        """Return the cores of this machine."""
        return usable_cores()

    def place(self, count: int) -> str:
        """Describe where the units are carried out."""
        return f"{count} worker processes" if count > 1 else "this process"

    def carry_out(
        self, units: Sequence[WorkUnit], more: More, count: int, demand: Demand
    ) -> Losses:
        """Carry out units, and those of `more`; return the loss of each job."""
        if count > 1:
            from harness.sweeps.engines.pool import Pool

            return Driver(Pool(count, demand.gpus)).run(units, more)
        losses, waiting = Losses(), deque(units)
        while waiting:
            losses |= carry_out_unit(waiting.popleft(), shows_progress=not sys.stderr.isatty())
            waiting.extend(more(losses))
        return losses
