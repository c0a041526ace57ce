"""One sweep (Hydra's multirun): its description, its parent run in MLflow and its jobs' names.

Hydra's sweeper raises at the first failed job and then does not report the end of the sweep. So a
job never raises to Hydra: it writes its outcome to its own journal, and when Hydra returns (or is
interrupted) the sweep is closed from those journals.

A job gets the description of its sweep from an environment variable, since launchers may run jobs
in other processes. The first job begins the sweep's record, under a lock.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.file_names import PARENT_LOCK
from harness.search.settings import Search
from harness.tracking import provenance
from harness.tracking.journal import first, last
from harness.tracking.journal_writer import Journal
from harness.tracking.mlflow_store import NOTE, destination_in

VARIABLE = "HARNESS_SWEEP"
SHARED = "sweeps"  # MLflow experiment of the parent runs of sweeps over several tasks


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The description of a sweep, known before its first job."""

    directory: str
    arguments: list[str]
    varying: list[str]  # the keys that distinguish its jobs
    total: int  # jobs; 0 where a search decides
    file: str | None = None  # that lists its jobs
    results: str
    uri: str | None  # of MLflow
    wait_seconds: float = 0.0  # for MLflow, at the end
    own_folders: list[str] = field(default_factory=list[str])  # of options, see --config-dir
    skips_finished: bool = False
    resumes: bool = False
    is_dry_run: bool = False
    fails_fast: bool = False
    search: Search | None = None  # which asks for the jobs, where it is not a grid of all values

    @property
    def id(self) -> str:
        """The id of the sweep's journal; empty where there is none."""
        begin = first(Path(self.directory), ("sweep",))
        return "" if begin is None else begin["id"]

    def check_place(self, settings: Mapping[Any, Any]) -> None:
        """Raise `ConfigError` for a job with other `results` or `tracking.uri` than the sweep.

        The sweep has one table, one parent run and one folder.
        """
        places = {"results": settings["results"], "tracking.uri": settings["tracking"]["uri"]}
        for key, expected in (("results", self.results), ("tracking.uri", self.uri)):
            value = places[key]
            if value != expected:
                raise ConfigError(
                    f"{key}={value}: a sweep keeps all its jobs in one place, and this one has "
                    f"{key}={'null' if expected is None else expected}; start a sweep for each."
                )

    def job_name(self, overrides: list[str]) -> str:
        r"""Name a job by the values that distinguish it: `sum·torch`, `torch·lr=0.01`.

        Hydra escapes characters of its grammar, as in `lengths=2\:4`; here they are unescaped.
        """
        parts = []
        for key, value in (o.lstrip("+~").split("=", 1) for o in overrides if "=" in o):
            if key in self.varying:
                value = re.sub(r"\\(.)", r"\1", value)
                word = value.replace("_", "").replace("/", "").isalpha()
                parts.append(value if word else f"{key.split('.')[-1]}={value}")
        return "·".join(parts) or "job"

    def experiment(self, config: Config) -> str:
        """Return the parent run's experiment: its children's, if they all have the same one."""
        if "tracking.experiment" in self.varying:
            return SHARED
        several_tasks = {"task", "experiment"} & set(self.varying)
        return config.tracking.experiment_or(SHARED if several_tasks else config.task.name)


def current() -> Sweep | None:
    """Return the sweep that this process works for; None outside a sweep."""
    if VARIABLE not in os.environ:
        return None
    fields = json.loads(os.environ[VARIABLE])
    search = None if fields["search"] is None else Search(**fields["search"])
    return Sweep(**fields | {"search": search})


def parent(sweep: Sweep, config: Config) -> Path | None:
    """Return the directory of the sweep's record, from which MLflow's parent run is made.

    The first call begins the record. None where the run is not tracked by MLflow.
    """
    if config.tracking.name != "mlflow":
        return None
    directory = Path(sweep.directory)
    with FileLock(directory / PARENT_LOCK):
        if last(directory, "start") is None:
            _begin(sweep, config, directory)
    return directory


def _begin(sweep: Sweep, config: Config, directory: Path) -> None:
    arguments = ["-m", *sweep.arguments]
    results = Path(config.results)
    tags = provenance.tags(arguments, directory, results)
    tags["kind"] = "sweep"
    tags[NOTE] = f"``{tags['command']}``"
    journal = Journal(directory)
    journal.write(
        "start",
        name="sweep over " + " × ".join(sweep.varying or ["one job"]),
        experiment=sweep.experiment(config),
        note="Parents of sweeps over several tasks; each links to its children.",
        params={"jobs vary in": ", ".join(sweep.varying), "results": config.results},
        tags=tags,
        store=destination_in(config.tracking.uri, results).seen_from(directory),
    )
    journal.close()
