"""Compose a checked configuration from overrides, for the commands that are not a single run."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.composer import Composer
from harness.config.conf_folder import CONF
from harness.config.hydra_messages import NO_OPTION, explain
from harness.config.overrides import readable
from harness.config.parsing import from_hydra
from harness.config.schema import Config
from harness.core.errors import ConfigError

Compose = Callable[[list[str]], Config]
Composed = DictConfig  # as Hydra has composed it, or as a run has saved it


def compose(overrides: list[str], config_dir: Path | None = None) -> Config:
    """Return the configuration that `python -m harness OVERRIDES` would run.

    `config_dir` is a folder with the user's own options. Raises `ConfigError`, also where Hydra
    cannot compose the overrides.
    """
    with composing(config_dir) as compose_one:
        return compose_one(overrides)


@contextmanager
def composing(config_dir: Path | None = None) -> Generator[Compose]:
    """Give a function like `compose` for many configurations, which share compositions."""
    composer = _shipped() if config_dir is None else _with_own(config_dir)

    def compose_one(overrides: list[str]) -> Config:
        with explained(overrides):
            return from_hydra(composer(readable(overrides)))

    with (
        hydra.initialize_config_dir(str(CONF), version_base="1.3"),
        _searched_first([] if config_dir is None else [str(config_dir.resolve())]),
    ):
        yield compose_one


@contextmanager
def explained(overrides: list[str]) -> Generator[None]:
    """Raise `ConfigError` for an error of Hydra's or OmegaConf's about `overrides` in the block."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error, CONF, overrides)) from error
    except ValueError as error:
        if isinstance(error, ConfigError) or not str(error).startswith(NO_OPTION):
            raise
        raise ConfigError(explain(error, CONF, overrides)) from error


def own_folders() -> list[str]:
    """Return the user's folders of options that the running command was given by `--config-dir`."""
    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    return list(dict.fromkeys([*_told, *typed_folders(sources)]))


def typed_folders(sources: Iterable[Any]) -> list[str]:
    """Return those of Hydra's config sources that `--config-dir` has added."""
    return [source.path for source in sources if source.provider == "command-line"]


_told: list[str] = []  # before Hydra is initialised, and in a worker process, where it never is
_searched: list[str] = []  # by `own_file` before the folders of the running command


@contextmanager
def _searched_first(folders: list[str]) -> Generator[None]:
    before = _searched[:]
    _searched[:] = folders
    try:
        yield
    finally:
        _searched[:] = before


def own_file(name: str) -> str:
    """Return the path of the file `name` in the first of the user's folders of options that has it.

    A file of options names another by it, wherever their folder is: `path: ${own_file:mine.npz}`.
    Raises `ValueError`.
    """
    folders = dict.fromkeys([*_searched, *own_folders()])
    for folder in folders:
        if Path(folder, name).is_file():
            return str(Path(folder, name))
    if not folders:
        raise ValueError(f"{name} is in your own folder of options; name that by --config-dir")
    raise ValueError(f"there is no file {name} in {' or '.join(folders)}")


OmegaConf.register_new_resolver("own_file", own_file, replace=True)


def tell_own_folders(folders: Sequence[str]) -> None:
    """Let `own_folders` return `folders`, which the command was given, where Hydra cannot say."""
    _told[:] = folders


@cache
def _shipped() -> Composer:
    """Return the process's composer of the shipped files, which do not change while it runs."""
    return Composer(_load)


def _with_own(config_dir: Path) -> Composer:
    if not config_dir.is_dir():  # Hydra would ignore it
        raise ConfigError(f"--config-dir {config_dir}: there is no such folder.")
    search_path = f"hydra.searchpath=[file://{config_dir.resolve()}]"
    return Composer(lambda words: _load([*words, search_path]))


def _load(words: list[str]) -> DictConfig:
    return hydra.compose("config", words, return_hydra_config=True)
