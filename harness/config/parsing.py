"""Turn Hydra's composition into a checked `Config`, once, before anything else uses it."""

import importlib
import json
import re
import sys
from dataclasses import fields
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from harness.config.moved_classes import present_name
from harness.config.schema import NODES, Config, RunConfig, SweepConfig
from harness.core.errors import ConfigError, first_line, nearest


def from_hydra(composed: DictConfig) -> Config:
    """Return a checked `Config`; raise `ConfigError`, which names the key, for a mistake."""
    return from_plain(resolved(composed))


def resolved(composed: DictConfig) -> dict[str, Any]:
    """Return all settings but Hydra's own as plain values, with interpolations resolved.

    Raises `ConfigError` for an interpolation that leads nowhere.
    """
    try:
        return {str(key): _plain(composed, str(key)) for key in composed if key != "hydra"}
    except OmegaConfBaseException as error:
        reason = first_line(error).removeprefix("ValueError raised while resolving interpolation: ")
        raise ConfigError(f"{error.full_key}: {reason}.") from error


def _plain(composed: DictConfig, key: str) -> Any:
    if OmegaConf.is_missing(composed, key):
        return MISSING
    value = composed[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def from_plain(settings: dict[str, Any]) -> Config:
    """Return a checked `Config` from plain values; raise `ConfigError` for a mistake."""
    plain = dict(settings)
    for name in (*NODES, "task", "optimizer"):
        if not isinstance(plain.get(name), dict):
            raise ConfigError(f"{name}: is missing; choose one with {name}=…, see --help.")
    groups = {name: to_dataclass(name, cls, plain.pop(name)) for name, cls in NODES.items()}
    for name in ("task", "optimizer"):
        node = dict(plain.pop(name))
        groups[name] = to_dataclass(name, _class(name, node.pop("_target_", None)), node)
    plain.pop("experiment", None)
    sweep_config(plain.pop("sweep", None))
    run = to_dataclass("", RunConfig, plain)
    return Config(**{f.name: getattr(run, f.name) for f in fields(run)}, **groups)


def sweep_config(settings: dict[str, Any] | None) -> SweepConfig | None:
    """Return the checked settings of a sweep; None where there are none. Raises `ConfigError`."""
    return None if settings is None else to_dataclass("sweep", SweepConfig, settings)


def _class(group: str, target: str | None) -> type:
    """Return the dataclass that a group's `_target_` names."""
    try:
        module, _, name = present_name(str(target or "")).rpartition(".")
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        reason = first_line(error)
        raise ConfigError(f"{group}._target_={target}: must name a class ({reason}).") from error


def to_dataclass(group: str, cls: type, node: dict[str, Any]) -> Any:
    """Return the settings of a group as an object of a dataclass. Raises `ConfigError`."""
    # A task that reads a file as it is made is another one once the file has changed.
    parse = _parsed.__wrapped__ if getattr(cls, "reads_files", False) else _parsed
    return parse(group, cls, json.dumps(node))


@lru_cache(maxsize=256)
def _parsed(group: str, cls: type, text: str) -> Any:
    """Return a node, given as JSON, as an object of the frozen dataclass `cls`.

    OmegaConf checks types and keys. That takes milliseconds, and in a sweep most nodes are the same
    in every job, so results are cached.
    """
    node = json.loads(text)
    try:
        return OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(cls), node))
    except OmegaConfBaseException as error:
        name = re.split(r"[.\[]", error.full_key or "")[0]
        key = f"{group}.{name}" if group else name
        if "type annotation" in str(error):  # the class is at fault, not the value
            raise ConfigError(f"{key}: {cls.__name__}.{name} {FIELDS}.") from error
        raise ConfigError(_explain(key, name, cls, node)) from error
    except OverflowError as error:
        largest = sys.float_info.max
        name = next(n for n, v in node.items() if isinstance(v, int) and abs(v) > largest)
        key = f"{group}.{name}" if group else name
        raise ConfigError(f"{key}={node[name]}: must be from {-largest} to {largest}.") from error


WORDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a word",
    type(None): "null",
    list: "a list such as [a,b]",
    tuple: "a list such as [a,b]",
    dict: "a mapping such as {a: b}",
    Path: "a path",
}
FIELDS = "must be declared as int, float, bool, str, Path, an Enum, or a list or dict of these"


def _explain(key: str, name: str, cls: type, node: dict[str, Any]) -> str:
    """Return the message for a value that does not fit its field."""
    hints = {f.name: get_type_hints(cls)[f.name] for f in fields(cls)}
    if name not in hints:
        suggestion = nearest(name, hints) or f" Known: {', '.join(hints)}."
        return f"{key}: there is no such key.{suggestion}"
    if node.get(name, MISSING) == MISSING:
        return f"{key}: is missing; give it a value."
    value = node[name]
    received = json.dumps(value) if value is None or isinstance(value, bool) else value
    several = get_origin(hints[name]) in (UnionType, Union)
    accepted = get_args(hints[name]) if several else (hints[name],)
    return f"{key}={received}: must be {' or '.join(map(_kind, accepted))}."


def _kind(hint: object) -> str:
    """Return the values that a type accepts, in words: `a whole number`."""
    kind: object = get_origin(hint) or hint
    if isinstance(hint, type) and issubclass(hint, Enum):
        return f"one of {', '.join(hint.__members__)}"
    item = WORDS.get(get_args(hint)[-1], "") if get_args(hint) else ""
    return WORDS.get(kind, f"a {getattr(kind, '__name__', kind)}") + (item and f", each {item}")
