"""A checked configuration from overrides, for the commands that are not a single run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from harness.config.composer import Composer, without_hydra
from harness.config.hydra_messages import explain
from harness.config.overrides import readable
from harness.config.parsing import from_hydra
from harness.config.schema import Config
from harness.core.errors import ConfigError

HERE = Path(__file__).resolve().parent.parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"  # in a wheel, in a clone

Compose = Callable[[list[str]], Config]
Composed = DictConfig  # what Hydra has composed, or a run has saved


def compose(overrides: list[str], config_dir: Path | None = None) -> Config:
    """What `python -m harness OVERRIDES` would run; `config_dir` holds the user's own options.

    Raises `ConfigError`, also for what Hydra would not compose.
    """
    with composing(config_dir) as one:
        return one(overrides)


@contextmanager
def composing(config_dir: Path | None = None) -> Iterator[Compose]:
    """`compose` for many: what is composed within this context shares what it can."""
    composer = _shipped() if config_dir is None else _with_own(config_dir)

    def one(overrides: list[str]) -> Config:
        try:
            return from_hydra(without_hydra(composer(readable(overrides))))
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error, CONF, overrides)) from error
        except ValueError as error:
            if isinstance(error, ConfigError) or not str(error).startswith("Config group override"):
                raise
            raise ConfigError(explain(error, CONF, overrides)) from error

    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        yield one


def own_folders() -> list[str]:
    """The user's own folders of options, as `--config-dir` named them to the running command."""
    sources = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else []
    return [source.path for source in sources if source.provider == "command-line"]


@cache
def _shipped() -> Composer:
    """One for the whole process: the files that come with the program do not change."""
    return Composer(_load)


def _with_own(config_dir: Path) -> Composer:
    if not config_dir.is_dir():  # Hydra would look on without it
        raise ConfigError(f"--config-dir {config_dir}: there is no such folder.")
    own = f"hydra.searchpath=[file://{config_dir.resolve()}]"
    return Composer(lambda words: _load([*words, own]))


def _load(words: list[str]) -> DictConfig:
    return hydra.compose("config", words, return_hydra_config=True)
