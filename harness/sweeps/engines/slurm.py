"""`hydra/launcher=slurm`: submit the units as a job array, and leave.

submitit writes the batch script, pickles the units into the sweep's folder and starts them. The
nodes share the file system.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import psutil

from harness.core.errors import ConfigError, check_choice, check_package, first_line
from harness.sweeps.driver import More
from harness.sweeps.engines import slurm_worker
from harness.sweeps.engines.settings import at_least
from harness.sweeps.estimates import Demand
from harness.sweeps.units import WorkUnit
from harness.sweeps.work import Losses
from harness.tracking.journal import Event
from harness.tracking.journal_writer import append

LOGS = "slurm"  # folder in the sweep's, with submitit's files and what the tasks print
CLUSTERS = ("slurm", "local")  # local: processes of this machine, to try things out


@dataclass(frozen=True, kw_only=True)
class SlurmWorkers:
    """Settings of the launcher, about each task but for the first two. Raises `ConfigError`."""

    cluster: str
    workers: int  # tasks at once
    partition: str | None
    minutes: int
    cpus: int | None  # by default as many as it has threads
    gpus: int
    gigabytes: float | None
    options: dict[str, Any]  # further ones of sbatch

    waits: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_package("hydra/launcher=slurm", "submitit", "submitit", "slurm")
        check_choice("hydra.launcher.cluster", str(self.cluster), CLUSTERS)
        for name in ("workers", "minutes", "cpus"):
            at_least(name, getattr(self, name), 1, whole=True)
        at_least("gpus", self.gpus, 0, whole=True)
        at_least("gigabytes", self.gigabytes, 0.001)

    def count(self, _: Demand) -> int:
        """Return the number of tasks at once. Raises `ConfigError` on a machine without Slurm."""
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise ConfigError(
                "hydra.launcher.cluster=slurm: this machine has no sbatch; begin the sweep where "
                "Slurm's commands are, or try it with hydra.launcher.cluster=local."
            )
        return self.workers

    def cores(self, count: int, threads: int) -> int:
        """Return the cores of the units, each of which has its own."""
        return count * threads

    def place(self, count: int) -> str:
        """Describe where the units are carried out."""
        return f"a job array, {count} at a time"

    def carry_out(
        self, units: Sequence[WorkUnit], _more: More, count: int, demand: Demand
    ) -> Losses:
        """Submit units; no loss is known yet. Raises `ConfigError` where nothing is submitted."""
        import submitit

        sweep = Path(units[0].sweep.directory)
        resumed = slurm_worker.times_resumed(sweep)
        try:
            executor = submitit.AutoExecutor(sweep / LOGS, cluster=self.cluster)
            executor.update_parameters(**self._parameters(count, demand))
            same = (str(Path.cwd()), resumed, self._cores(demand))
            repeated = [[value] * len(units) for value in same]
            tasks = executor.map_array(slurm_worker.work, units, *repeated)
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            raise ConfigError(f"hydra/launcher=slurm: {first_line(error)}") from error
        append(sweep, "submitted", to=self.cluster, ids=[str(task.job_id) for task in tasks])
        return {}

    def _cores(self, demand: Demand) -> int:
        """Return the processors of each task."""
        return self.cpus or demand.threads

    def _parameters(self, count: int, demand: Demand) -> dict[str, Any]:
        """Return what submitit is told; Slurm is not to begin a task again by itself."""
        parameters = {
            "name": "harness",
            "timeout_min": self.minutes,
            "cpus_per_task": self._cores(demand),
            "gpus_per_node": self.gpus,
            "mem_gb": self.gigabytes,
            "slurm_array_parallelism": count,
            "slurm_partition": self.partition,
            "slurm_additional_parameters": {"no-requeue": True, **self.options},
        }
        return {name: value for name, value in parameters.items() if value is not None}


def is_queued(submitted: Event) -> bool:
    """Return whether tasks wait or run."""
    if submitted["to"] == "local":
        return any(_runs(int(number)) for number in submitted["ids"])
    command = ["squeue", "--noheader", f"--jobs={','.join(submitted['ids'])}"]
    try:
        return bool(subprocess.run(command, capture_output=True, check=False).stdout.strip())
    except OSError:  # this machine does not know Slurm
        return True


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
