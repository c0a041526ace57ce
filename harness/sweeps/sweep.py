"""One sweep (Hydra's multirun): its folder, its parent run in MLflow and its jobs' names.

Hydra's sweeper raises at the first failed job and then does not report the end of the sweep. So a
job never raises to Hydra: it writes its outcome to its own journal, and when Hydra returns (or is
interrupted) the sweep is closed from those journals.

A job gets the description of its sweep from an environment variable, since launchers may run jobs
in other processes. The first job begins the sweep's record, under a lock.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock
from omegaconf import DictConfig, OmegaConf

from harness.config.compose import typed_folders
from harness.config.parsing import resolved, sweep_config
from harness.config.schema import Config, SweepConfig
from harness.core.errors import ConfigError
from harness.core.file_names import PARENT_LOCK
from harness.runs.folders import claim_sweep, folder_key
from harness.search.settings import Search
from harness.sweeps.resumed_sweep import go_on
from harness.sweeps.search_settings import search_of
from harness.sweeps.swept_values import check_number, parse_sweep
from harness.tracking import provenance
from harness.tracking.journal import Journal, append, first, last
from harness.tracking.launched_jobs import relative_path
from harness.tracking.mlflow_store import NOTE, destination_in

VARIABLE = "HARNESS_SWEEP"
GRID_SWEEPERS = ("hydra_plugins.quick_sweeper.", "hydra._internal.core_plugins.basic_sweeper.")
OWN_LAUNCHERS = ("hydra_plugins.batched_launcher.",)
SHARED = "sweeps"  # MLflow experiment of the parent runs of sweeps over several tasks


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The description of a sweep, known before its first job."""

    directory: str
    arguments: list[str]
    varying: list[str]  # the keys that distinguish its jobs
    total: int  # jobs; 0 where a search decides
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


def begin(config: DictConfig) -> None:
    """Claim the sweep's folder, and write its jobs' number and varying keys to its journal.

    `config` is Hydra's, before it is split into jobs. Raises `ConfigError`.
    """
    arguments: Any = OmegaConf.to_container(config.hydra.overrides.task)
    swept = parse_sweep(sweep_words(config))
    folder = Path(str(config.hydra.sweep.dir)).resolve()
    typed: Any = OmegaConf.to_container(config.hydra.overrides.hydra)  # not resolved
    options = _options(config, swept.keys)
    search = search_of(config, folder)
    total = swept.jobs
    if search is not None:
        total = search.number(swept.jobs or None)
    elif str(config.hydra.sweeper.get("_target_")).startswith(GRID_SWEEPERS):
        check_number(swept, sweep_words(config))
    if options.resume is None:
        claim_sweep(folder, folder_key(typed, "hydra.sweep.dir"))
    elif not options.dry_run:
        go_on(folder)
    sweep = Sweep(
        directory=str(folder),
        arguments=arguments,
        varying=swept.keys,
        total=total,
        results=config.results,
        uri=config.tracking.uri,
        wait_seconds=config.tracking.wait_seconds,
        skips_finished=options.skip == "finished",
        resumes=options.resume is not None,
        is_dry_run=options.dry_run,
        fails_fast=options.fail_fast,
        search=search,
    )
    if options.resume is None:
        append(
            folder,
            "sweep",
            arguments=arguments,
            varying=swept.keys,
            jobs=total,
            hydra=typed,
            options=_own_folder_options(config),
            results=relative_path(Path(config.results), folder),
        )
    os.environ[VARIABLE] = json.dumps(asdict(sweep))


def sweep_words(config: DictConfig) -> list[str]:
    """Return the words that say what is swept: those of the sweeper's settings, and those typed."""
    params = OmegaConf.select(config, "hydra.sweeper.params") or {}
    typed: Any = OmegaConf.to_container(config.hydra.overrides.task)
    return [*(f"{key}={value}" for key, value in params.items()), *typed]


def _own_folder_options(config: DictConfig) -> list[str]:
    """Return the options that name the user's own folders, by their absolute paths."""
    own = typed_folders(config.hydra.runtime.config_sources)
    return [word for path in own for word in ("--config-dir", str(Path(path).resolve()))]


def _options(config: DictConfig, varying: Sequence[str]) -> SweepConfig:
    """Return the settings `sweep.…`. Raises `ConfigError`."""
    for key in varying:
        if key.startswith("sweep."):
            raise ConfigError(f"{key}: must have one value: it is about the sweep as a whole.")
    options = sweep_config(resolved(config)["sweep"])
    assert options is not None
    launcher = str(config.hydra.launcher.get("_target_"))
    for key in ("skip", "resume", "dry_run"):
        if getattr(options, key) and not launcher.startswith(OWN_LAUNCHERS):
            raise ConfigError(
                f"sweep.{key}={getattr(options, key)}: needs hydra/launcher=batched; other "
                "launchers run every job."
            )
    return options


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
