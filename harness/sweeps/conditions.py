"""Conditions on a job, as `{model: [lstm, gru], task: sum}`: for each key one of its values."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from harness.core.errors import ConfigError, nearest
from harness.sweeps.axes import Axis, Words, axis_of

Condition = dict[str, set[str]]  # key -> the KEY=VALUE that fulfil it


def condition_of(
    name: str, content: Any, known: Mapping[str, set[str]], fixed: set[str]
) -> Condition:
    """Return a condition; a value that no job has is a mistake, unless the key was typed."""
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{name}: must be a mapping, such as {{model: lstm}}.")
    condition: Condition = {}
    for written, value in content.items():
        key = written.lstrip("+~")
        if key not in known:
            raise ConfigError(f"{name}: {key}: the item has no such key.{nearest(key, known)}")
        condition[key] = {_plain(word) for words in axis_of(key, value) for word in words.values()}
        for word in sorted(condition[key] - known[key]) if key not in fixed else ():
            valid = ", ".join(sorted(known[key]))
            raise ConfigError(f"{name}: {word}: no job has this value; the item has {valid}.")
    return condition


def holds(condition: Condition, job: Words) -> bool:
    """Return whether a job fulfils a condition."""
    return all(_plain(job.get(key, "")) in words for key, words in condition.items())


def known_words(axes: Sequence[Axis]) -> dict[str, set[str]]:
    """Return the words that jobs may have, by their keys."""
    known: dict[str, set[str]] = {}
    for words in itertools.chain(*axes):
        for key, word in words.items():
            known.setdefault(key, set()).add(_plain(word))
    return known


def _plain(word: str) -> str:
    return word.lstrip("+~")
