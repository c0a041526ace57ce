"""The axes of a grid, from the keys of a sweep file: one for each key or set of zipped keys.

Values are texts in Hydra's grammar, as on the command line, or lists of such.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.config.compose import explained
from harness.config.overrides import readable
from harness.core.errors import ConfigError, nearest
from harness.sweeps.swept_values import MAX_JOBS, parse_words, values_of

ZIP, ONLY, FOR, EXCLUDE = "zip", "only", "for", "exclude"  # keys of a file that are no settings

Words = dict[str, str]  # a job's, or some of them: key, without Hydra's +, -> KEY=VALUE
Axis = list[Words]  # the words between which jobs choose


def axes_of(names: Mapping[str, Any], fixed: set[str], others: Sequence[str]) -> list[Axis]:
    """Return the axes of a grid, without the keys in `fixed`; `others` are no keys of it."""
    axes: list[Axis] = []
    for key, value in names.items():
        if key == ZIP:
            axes += [_zipped(each, fixed) for each in mappings(names, ZIP)]
        elif key not in others:
            _check_key(key)
            if key.lstrip("+~") not in fixed:
                axes.append(axis_of(key, value))
    return axes


def axis_of(key: str, value: Any) -> Axis:
    """Return the alternatives of a key, from a text in Hydra's grammar or a list of them.

    Raises `ConfigError`.
    """
    texts = value if isinstance(value, list) else [value]
    if not texts or "" in texts:
        raise ConfigError(f"{key}: has no value.")
    return [{key.lstrip("+~"): word} for text in texts for word in _values(key, text)]


def _values(key: str, value: Any) -> list[str]:
    words = readable([f"{key}={_text(key, value)}"])
    with explained(words):
        [override] = parse_words(words)
        if getattr(override.value(), "shuffle", False):  # a sweep that goes on needs its numbers
            raise ConfigError(f"{words[0]}: jobs of a file keep its order; leave out shuffle.")
        return values_of(override)


def _text(key: str, value: Any) -> str:
    """Return a value as Hydra's grammar has it; a list in a list is one value."""
    if isinstance(value, list):
        return f"[{','.join(_text(key, each) for each in value)}]"
    if isinstance(value, dict):
        words = (ZIP, ONLY, EXCLUDE)
        raise ConfigError(f"{key}: takes values, no mapping.{nearest(key, words)}")
    return value


def mappings(names: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return what stands under `zip`, `only` or `exclude`: a mapping, or a list of them."""
    if name not in names:
        return []
    entries = names[name] if isinstance(names[name], list) else [names[name]]
    if not entries or not all(isinstance(each, dict) and each for each in entries):
        raise ConfigError(f"{name}: must be a mapping of keys to values, or a list of such.")
    return entries


def _check_key(key: str) -> None:
    if key in (ONLY, FOR, EXCLUDE):
        place = f"an entry of {ONLY}" if key == FOR else "the item itself"
        raise ConfigError(f"{key}: does not belong here, but to {place}.")
    if key.startswith(("sweep.", "hydra.", "hydra/")):
        raise ConfigError(f"{key}: is about the sweep as a whole; type it on the command line.")


def _zipped(names: Mapping[str, Any], fixed: set[str]) -> Axis:
    for key in names:
        _check_key(key)
        if key.lstrip("+~") in fixed:
            raise ConfigError(f"{ZIP}: {key} goes with other keys, and cannot be typed as well.")
    columns = {key: axis_of(key, value) for key, value in names.items()}
    if len({len(column) for column in columns.values()}) > 1:
        counts = ", ".join(f"{key} has {len(column)}" for key, column in columns.items())
        raise ConfigError(f"{ZIP}: needs as many values of each key; {counts}.")
    return [merged(row) for row in zip(*columns.values(), strict=True)]


def product(axes: Sequence[Axis]) -> list[Words]:
    """Return a grid; the last axis changes fastest. Raises `ConfigError` for too many jobs."""
    check_number(math.prod(map(len, axes)))
    return [merged(words) for words in itertools.product(*axes)]


def check_number(jobs: int) -> None:
    """Raise `ConfigError` for too many jobs."""
    if jobs > MAX_JOBS:
        raise ConfigError(f"are more than {MAX_JOBS:,} jobs, the most that a sweep may have.")


def merged(parts: Iterable[Words]) -> Words:
    """Return all the words of several parts."""
    return {key: word for part in parts for key, word in part.items()}
