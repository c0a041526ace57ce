"""Which classes a recorded configuration may name: foreign files are data, and no code.

A run's `config.yaml` may come from anybody, so nothing in it decides what is imported. The backend
is the option of the recorded name, and a task or an optimiser must be a class that an option names.
Options are the project's, and those in a folder that is given by `--config-dir` now. A class that
is typed now needs no option.
"""

from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from harness.config.conf_folder import CONF
from harness.config.serialise import FIXED_BY_BACKEND
from harness.core.errors import ConfigError


def check_classes(
    recorded: DictConfig, typed: Collection[str], folders: Sequence[Path], run: str
) -> None:
    """Take the backend's class from its option, and check those of task and optimiser.

    `typed` are the keys that were typed, `folders` the user's own folders of options, and `run` is
    the run as the user named it. Raises `ConfigError` for a class that no option names.
    """
    for group in ("task", "optimizer"):
        key = f"{group}._target_"
        target = str(recorded[group]["_target_"])
        targets = [str(option.get("_target_")) for option in _options(group, folders)]
        if not {group, key} & set(typed) and target not in targets:
            raise ConfigError(
                f"{run}: {key}={target}: no option of {group} names this class, and a recorded one "
                f"is not imported; give your folder of options with --config-dir, or type {key}="
                f"{target} if you trust it."
            )
    if "backend" not in typed:
        _trust_backend(recorded, folders, run)


def _options(group: str, folders: Sequence[Path]) -> list[Any]:
    """Return the options of a group as they are written, the project's first."""
    files = [path for folder in (CONF, *folders) for path in (folder / group).rglob("*.yaml")]
    return [_loaded(path, path.stat().st_mtime_ns) for path in files]


@cache
def _loaded(path: Path, _: int) -> Any:
    """Return a file's contents; the number is the time of its last change."""
    return OmegaConf.load(path)


def _trust_backend(recorded: DictConfig, folders: Sequence[Path], run: str) -> None:
    """Set what follows from the backend's name as the option of that name says it."""
    name = str(recorded.backend.get("name"))
    options = [o for o in _options("backend", folders) if o.get("name") == name and "factory" in o]
    if not options:
        raise ConfigError(
            f"{run}: backend.name={name}: no option of backend has this name, and a recorded class "
            f"is not imported; give your folder of options with --config-dir."
        )
    for key in FIXED_BY_BACKEND:
        if key in options[0]:
            recorded.backend[key] = options[0][key]
        else:
            recorded.backend.pop(key, None)
