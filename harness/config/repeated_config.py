"""The configuration of a recorded run that is repeated, and what may change in it.

Where and how fast a run is trained may change: its results then depend on that by rounding alone.
All else decides what is trained, and how much another setting changes is a question for
`harness why`.
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from harness.config.compose import compose
from harness.config.overrides import key_of
from harness.config.parsing import from_hydra
from harness.config.saved_config import with_overrides
from harness.config.schema import Config
from harness.config.serialise import nested_params
from harness.core.errors import ConfigError

MAY_CHANGE = ("backend", "backend.kernel", "device", "threads")
UNTRACKED = "tracking.name=journal"  # a repetition needs no MLflow, nor a valid address of one


def repeated_config(
    recorded: DictConfig, run: str, changes: list[str], config_dir: Path | None = None
) -> Config:
    """Return a recorded configuration with the overrides `changes`.

    `run` is the run as the user named it, for messages, and `config_dir` the user's own folder of
    options. Raises `ConfigError`, also for a change that `MAY_CHANGE` does not list.
    """
    for word in changes:
        if key_of(word) not in MAY_CHANGE or "=" not in word:
            raise ConfigError(
                f"--with {word}: only {', '.join(MAY_CHANGE)} may change in a repetition; what "
                f"another setting changes, harness why says: harness why {run} {run} b.{word}"
            )
    return retrained_config(recorded, run, [*changes, UNTRACKED], config_dir)


def retrained_config(
    recorded: DictConfig, run: str, overrides: list[str], config_dir: Path | None = None
) -> Config:
    """Return a recorded configuration with any overrides; see `repeated_config`."""
    groups = [word for word in overrides if "." not in key_of(word)]
    composed = OmegaConf.create(nested_params(compose(groups, config_dir))) if groups else None
    own = [] if config_dir is None else [config_dir]
    return from_hydra(with_overrides(recorded, overrides, run, composed, own))
