"""The settings of a sweep that is a search, from Hydra's configuration."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.parsing import to_dataclass
from harness.config.tracking_store import without_secrets
from harness.core.errors import ConfigError, first_line
from harness.search.settings import KEY, Search
from harness.search.study import place_of
from harness.sweeps.job_launcher import has_units

SWEEPER = "hydra_plugins.optuna_sweeper."


def search_of(config: DictConfig, folder: Path) -> Search | None:
    """Return the settings of a search whose sweep is in `folder`; None for another sweeper.

    Storage and study are set in it. Raises `ConfigError`.
    """
    if not str(config.hydra.sweeper.get("_target_")).startswith(SWEEPER):
        return None
    typed: Any = OmegaConf.to_container(config.hydra.sweeper)
    _check_password(typed["storage"])
    try:
        settings: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {first_line(error)}.") from error
    settings = {n: v for n, v in settings.items() if n not in ("_target_", "params")}
    search: Search = to_dataclass(KEY, Search, settings)
    _check_launcher(config, search)
    return replace(search, storage=place_of(search, folder), study=search.study or folder.name)


def _check_password(storage: Any) -> None:
    if isinstance(storage, str) and "${" not in storage and without_secrets(storage) != storage:
        raise ConfigError(
            f"{KEY}.storage={without_secrets(storage)}: was given with a password, which the sweep "
            "would keep in its files; put the address into a variable, such as OPTUNA_STORAGE, and "
            f"type '{KEY}.storage=${{oc.env:OPTUNA_STORAGE}}'."
        )


def _check_launcher(config: DictConfig, search: Search) -> None:
    """Raise `ConfigError` where a search needs more than to launch jobs and to wait for them."""
    if config.hydra.launcher.get("engine") == "slurm":
        raise ConfigError(
            "hydra/launcher=slurm: leaves its jobs alone, and a search asks how they have ended; "
            "use hydra/launcher=batched or ray."
        )
    if has_units(config):
        return
    for name, usual in (("pruner", "none"), ("outstanding", 1)):
        value = getattr(search, name)
        if value != usual:
            raise ConfigError(
                f"{KEY}.{name}={value}: needs hydra/launcher=batched or ray, without "
                f"hydra.job.chdir and hydra.job.env_set; or use {name}={usual}."
            )
