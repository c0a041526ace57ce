"""The configuration of a recorded run, and overrides on top of it.

The file is data that may come from anybody: it holds plain values alone, and it is small.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.damaged_files import reading
from harness.config.moved_classes import present_name
from harness.config.overrides import readable
from harness.config.recorded_classes import check_classes
from harness.config.schema import NODES
from harness.config.serialise import flatten
from harness.core.errors import ConfigError, first_line
from harness.core.file_names import CONFIG

MAX_BYTES = 1_000_000  # of a config.yaml; a run's has some 2,000
MAX_DEPTH = 50  # of what is nested in it; libyaml crashes at some 100,000


def load_config(folder: Path) -> DictConfig:
    """Load `config.yaml` from a run's directory.

    Raises `ConfigError` if it is damaged, and for aliases and interpolations, which no run writes:
    nine nested aliases are gigabytes, and an interpolation may read the environment.
    """
    path = folder / CONFIG
    with reading(path):
        check_size(path)
        loaded: Any = OmegaConf.load(path)
        _check_plain(loaded)
        for group in (*NODES, "task", "optimizer"):
            if not OmegaConf.is_dict(loaded[group]):
                raise ValueError(f"{group} is no group of settings")
        for group in ("task", "optimizer"):
            loaded[group]["_target_"] = present_name(str(loaded[group].get("_target_", "")))
    return loaded


def check_size(path: Path) -> None:
    """Raise `ValueError` for a YAML file that is large or deeply nested, and for an alias.

    By aliases a small file becomes large.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has over {MAX_BYTES:,} bytes")
    text = path.read_text(encoding="utf-8")
    parsed = yaml.parse(text, yaml.CSafeLoader)  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    depth = 0
    for event in cast("Iterable[object]", parsed):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"its contents are nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"line {event.start_mark.line + 1} has an alias, {event.anchor}")


def _check_plain(loaded: DictConfig) -> None:
    """Raise `ValueError` for an interpolation."""
    plain: Any = OmegaConf.to_container(loaded, resolve=False)
    for key, value in flatten(plain).items():
        if "${" in str(value):
            raise ValueError(f"{key}={value} is an interpolation")


def with_overrides(
    recorded: DictConfig,
    overrides: list[str],
    run: str,
    composed: DictConfig | None = None,
    folders: Sequence[Path] = (),
) -> DictConfig:
    """Return the recorded configuration with the values that the overrides change.

    `run` is the run as the user named it, for messages. Overrides may choose whole groups only if
    there is `composed`, the composition of the overrides, to take them from. `folders` are the
    user's own folders of options. Raises `ConfigError`, also for a recorded class that no option
    names.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(readable(overrides))
    except HydraException as error:
        raise ConfigError(first_line(error)) from error
    changed = recorded.copy()
    check_classes(changed, [override.key_or_group for override in parsed], folders, run)
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
