"""A multirun as one thing: a parent run in MLflow, named children, and an honest end.

Hydra's sweeper raises at the first failed job and then never says that the sweep is over. So jobs
never fail in Hydra's eyes: each writes how it ended into its own journal, and when Hydra returns
(or is interrupted) the sweep is closed from those journals.

What a job needs to know of its sweep travels in an environment variable, since launchers may run
jobs in other processes; whichever job comes first begins the sweep's record, under a lock.
"""

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.file_names import PARENT_LOCK
from harness.runs.folders import claim_sweep, folder_key
from harness.sweeps.swept_values import parse_sweep
from harness.tracking import provenance
from harness.tracking.journal import Journal, append, last
from harness.tracking.mlflow_store import NOTE

VARIABLE = "HARNESS_SWEEP"
SHARED = "sweeps"  # experiment of the parents of sweeps over several tasks


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What is known of a sweep before its first job."""

    directory: str
    arguments: list[str]
    varying: list[str]  # the keys that distinguish its jobs
    total: int  # jobs; 0 where a search decides
    results: str
    uri: str | None  # of MLflow

    def check_place(self, composed: DictConfig) -> None:
        """Refuse a job that would keep its results elsewhere than the sweep does, whose table,
        parent run and folder are one. Raises `ConfigError`."""
        for key, here in (("results", self.results), ("tracking.uri", self.uri)):
            value = OmegaConf.select(composed, key)
            if value != here:
                raise ConfigError(
                    f"{key}={value}: a sweep keeps all its jobs in one place, and this one has "
                    f"{key}={'null' if here is None else here}; start a sweep for each."
                )

    def job_name(self, overrides: list[str]) -> str:
        r"""Return what distinguishes this job from its siblings: `sum·torch`, `torch·lr=0.01`.

        Hydra escapes characters of its grammar, as in `lengths=2\:4`.
        """
        parts = []
        for key, value in (o.lstrip("+~").split("=", 1) for o in overrides if "=" in o):
            if key in self.varying:
                value = re.sub(r"\\(.)", r"\1", value)
                word = value.replace("_", "").replace("/", "").isalpha()
                parts.append(value if word else f"{key.split('.')[-1]}={value}")
        return "·".join(parts) or "job"

    def experiment(self, config: Config) -> str:
        """Where the parent lives: with its children, if they all share one experiment."""
        if "tracking.experiment" in self.varying:
            return SHARED
        spread = {"task", "experiment"} & set(self.varying)
        return config.tracking.experiment_or(SHARED if spread else config.task.name)


def begin(config: DictConfig) -> None:
    """Take the sweep's folder, and say in its journal what the sweep is over; `config` is Hydra's,
    before it is split into jobs. Raises `ConfigError`."""
    arguments: Any = OmegaConf.to_container(config.hydra.overrides.task)
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    swept = parse_sweep([*(f"{key}={value}" for key, value in params.items()), *arguments])
    folder = Path(str(config.hydra.sweep.dir)).resolve()
    typed = [str(word) for word in config.hydra.overrides.hydra]
    claim_sweep(folder, folder_key(typed, "hydra.sweep.dir"))
    sweep = Sweep(
        directory=str(folder),
        arguments=arguments,
        varying=swept.keys,
        total=swept.jobs,
        results=config.results,
        uri=config.tracking.uri,
    )
    append(folder, "sweep", arguments=arguments, varying=swept.keys, jobs=swept.jobs)
    os.environ[VARIABLE] = json.dumps(asdict(sweep))


def current() -> Sweep | None:
    """The sweep that this process works for, if any."""
    return Sweep(**json.loads(os.environ[VARIABLE])) if VARIABLE in os.environ else None


def parent(sweep: Sweep, config: Config) -> Path | None:
    """The directory of the sweep's own record, begun by the first job that asks; MLflow's parent
    run is made from it. None without MLflow."""
    if config.tracking.name != "mlflow":
        return None
    directory = Path(sweep.directory)
    with FileLock(directory / PARENT_LOCK):
        if last(directory, "start") is None:
            _begin(sweep, config, directory)
    return directory


def _begin(sweep: Sweep, config: Config, directory: Path) -> None:
    arguments = ["-m", *sweep.arguments]
    tags = provenance.tags(arguments, directory)
    tags["kind"] = "sweep"
    tags[NOTE] = f"    {tags['command']}"
    journal = Journal(directory)
    journal.write(
        "start",
        name="sweep over " + " × ".join(sweep.varying or ["one job"]),
        experiment=sweep.experiment(config),
        note="Parents of sweeps over several tasks; each links to its children.",
        params={"jobs vary in": ", ".join(sweep.varying), "results": config.results},
        tags=tags,
    )
    journal.close()
