"""The beginning of a sweep: its folder is claimed, and its journal says what it consists of."""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from harness.config.compose import typed_folders
from harness.config.parsing import resolved, sweep_config
from harness.config.schema import SweepConfig
from harness.console.command_line import counted
from harness.core.errors import ConfigError
from harness.runs.folders import claim_sweep, folder_key
from harness.sweeps import sweep
from harness.sweeps.job_launcher import NEEDED, has_units
from harness.sweeps.listed_jobs import listed_jobs
from harness.sweeps.resumed_sweep import go_on
from harness.sweeps.search_settings import search_of
from harness.sweeps.sweep_file import sweep_file
from harness.sweeps.swept_values import check_number, parse_sweep, sweep_words
from harness.tracking.journal_writer import append
from harness.tracking.launched_jobs import relative_path

OWN_SWEEPER = "hydra_plugins.quick_sweeper."
GRID_SWEEPERS = (OWN_SWEEPER, "hydra._internal.core_plugins.basic_sweeper.")

log = logging.getLogger(__name__)


def begin(config: DictConfig) -> None:
    """Claim the sweep's folder, and write its jobs' number and varying keys to its journal.

    `config` is Hydra's, before it is split into jobs. Raises `ConfigError`.
    """
    arguments: Any = OmegaConf.to_container(config.hydra.overrides.task)
    parsed = parse_sweep(sweep_words(config))
    folder = Path(str(config.hydra.sweep.dir)).resolve()
    typed: Any = OmegaConf.to_container(config.hydra.overrides.hydra)  # not resolved
    options = _options(config, parsed.keys)
    search, file = search_of(config, folder), sweep_file(options, folder)
    varying, total = parsed.keys, parsed.jobs
    if file is not None:
        listed = listed_jobs(file, sweep_words(config))
        varying, total = listed.varying, len(listed.jobs)
        if listed.repeated:
            log.info("%s: %s repeated, and left out", file.path, counted(listed.repeated, "job"))
    elif search is not None:
        total = search.number(parsed.jobs or None)
    elif str(config.hydra.sweeper.get("_target_")).startswith(GRID_SWEEPERS):
        check_number(parsed, sweep_words(config))
    if options.resume is None:
        claim_sweep(folder, folder_key(typed, "hydra.sweep.dir"))
    elif not options.dry_run:
        go_on(folder)
    swept = sweep.Sweep(
        directory=str(folder),
        arguments=arguments,
        varying=varying,
        total=total,
        file=None if file is None else file.path,
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
            varying=varying,
            jobs=total,
            hydra=typed,
            options=_own_folder_options(config),
            results=relative_path(Path(config.results), folder),
            **({} if file is None else asdict(file)),
        )
    os.environ[sweep.VARIABLE] = json.dumps(asdict(swept))


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
    for key in ("skip", "resume", "dry_run"):
        if getattr(options, key) and not has_units(config):
            raise ConfigError(
                f"sweep.{key}={getattr(options, key)}: needs {NEEDED}: Hydra's launchers run every "
                "job."
            )
    sweeper = str(config.hydra.sweeper.get("_target_"))
    if options.file is not None and not sweeper.startswith(OWN_SWEEPER):
        raise ConfigError(
            f"sweep.file={options.file}: needs hydra/sweeper=quick; another has jobs of its own."
        )
    return options
