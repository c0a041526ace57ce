"""A sweep file: a YAML list of items, each a set of jobs; see docs/sweeps.md.

Its texts stay as they are written, since Hydra's grammar reads them, as on the command line. The
sweep's journal keeps the items: a sweep that goes on has the jobs with which it was begun, whatever
has happened to the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.config.saved_config import check_size
from harness.config.schema import SweepConfig
from harness.core.errors import ConfigError, first_line
from harness.runs.folders import relative_to_cwd
from harness.tracking.journal import first


@dataclass(frozen=True)
class SweepFile:
    """The contents of a sweep file: texts, lists and mappings of these."""

    path: str
    items: list[Any]


def sweep_file(options: SweepConfig, folder: Path) -> SweepFile | None:
    """Return the file that a sweep in `folder` is to carry out, or None. Raises `ConfigError`."""
    if options.resume is not None:
        return recorded_file(folder)
    return None if options.file is None else read_sweep_file(Path(options.file).expanduser())


def recorded_file(folder: Path) -> SweepFile | None:
    """Return the file with which the sweep in `folder` was begun; None for one without a file."""
    begin = first(folder, ("sweep",))
    if begin is None or "items" not in begin:
        return None
    return SweepFile(begin["path"], begin["items"])


def read_sweep_file(path: Path) -> SweepFile:
    """Return the contents of a sweep file. Raises `ConfigError`, also for aliases in it."""
    name = relative_to_cwd(path)
    if not path.is_file():
        raise ConfigError(f"sweep.file={name}: there is no such file.")
    try:
        check_size(path)
        node = yaml.compose(path.read_text(encoding="utf-8"), yaml.CBaseLoader)
        items = [] if node is None else _plain(node)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{name}{line}: cannot be read as YAML ({error.problem}).") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{name}: cannot be used ({first_line(error)}).") from error
    items = [items] if isinstance(items, dict) else items
    if not isinstance(items, list) or not items:
        raise ConfigError(f"{name}: must be a list of items, such as - seed: range(4).")
    return SweepFile(name, items)


def _plain(node: yaml.Node) -> Any:
    """Return a node as texts, lists and mappings.

    Raises `ValueError` for a key that is there twice, of which PyYAML would take the last.
    """
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value]
        _check_keys(keys, [key for key, _ in node.value])
        return {key: _plain(value) for key, (_, value) in zip(keys, node.value, strict=True)}
    return [_plain(each) for each in node.value] if isinstance(node.value, list) else node.value


def _check_keys(keys: Sequence[Any], nodes: Sequence[yaml.Node]) -> None:
    for index, (key, node) in enumerate(zip(keys, nodes, strict=True)):
        line = f"line {node.start_mark.line + 1}"
        if not isinstance(key, str):
            raise ValueError(f"{line} has a key that is no text")
        if key in keys[:index]:
            raise ValueError(f"{line} has {key} for the second time")
