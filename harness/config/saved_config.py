"""The configuration of a recorded run, and overrides on top of it."""

from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.damaged_files import reading
from harness.config.moved_classes import present_name
from harness.config.overrides import readable
from harness.config.schema import NODES
from harness.core.errors import ConfigError, first_line
from harness.core.file_names import CONFIG


def load_config(folder: Path) -> DictConfig:
    """Load `config.yaml` from a run's directory; raise `ConfigError` if it is damaged."""
    path = folder / CONFIG
    with reading(path):
        loaded: Any = OmegaConf.load(path)
        for group in (*NODES, "task", "optimizer"):
            if not OmegaConf.is_dict(loaded[group]):
                raise ValueError(f"{group} is no group of settings")
        for group in ("task", "optimizer"):
            loaded[group]["_target_"] = present_name(str(loaded[group].get("_target_", "")))
    return loaded


def with_overrides(
    recorded: DictConfig, overrides: list[str], run: str, composed: DictConfig | None = None
) -> DictConfig:
    """Return the recorded configuration with the values that the overrides change.

    `run` is the run as the user named it, for messages. Overrides may choose whole groups only if
    there is `composed`, the composition of the overrides, to take them from. Raises `ConfigError`.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(readable(overrides))
    except HydraException as error:
        raise ConfigError(first_line(error)) from error
    changed = recorded.copy()
    for override in parsed:
        key = override.key_or_group
        whole = OmegaConf.is_dict(OmegaConf.select(recorded, key))
        refused = key == "experiment" or override.is_delete() or override.is_sweep_override()
        if refused or (whole and composed is None):
            raise ConfigError(
                f"{override.input_line}: {run} already has every value; change single ones with "
                "KEY=VALUE."
            )
        value = OmegaConf.select(composed, key) if whole and composed else override.value()
        try:
            OmegaConf.update(changed, key, value, merge=False, force_add=True)
        except OmegaConfBaseException as error:
            raise ConfigError(f"{override.input_line}: {first_line(error)}.") from error
    return changed
