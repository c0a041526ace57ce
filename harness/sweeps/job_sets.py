"""The jobs of one item of a sweep file: a grid, values that go together, conditions, exceptions.

The model is the matrix of GitHub's workflows. Words typed on the command line take part in every
item, and replace its values of the same key.
"""

import shlex
from collections.abc import Sequence
from typing import Any

from harness.core.errors import ConfigError
from harness.sweeps.axes import (
    EXCLUDE,
    FOR,
    ONLY,
    Axis,
    Words,
    axes_of,
    check_number,
    mappings,
    merged,
    product,
)
from harness.sweeps.conditions import Condition, condition_of, holds, known_words


def jobs_of(item: Any, typed: Sequence[Axis]) -> list[Words]:
    """Return the jobs of an item; `typed` are the axes of the command line.

    Raises `ConfigError`, which does not name the item.
    """
    names = _names(item)
    fixed = {key for axis in typed for key in axis[0]}
    axes = [*axes_of(names, fixed, (ONLY, EXCLUDE)), *typed]
    known = known_words(axes)
    jobs = product(axes)
    for part in mappings(names, ONLY):
        if FOR not in part or len(part) == 1:
            raise ConfigError(f"{ONLY}: each needs {FOR}, with a condition, and other keys.")
        condition = condition_of(FOR, part[FOR], known, fixed)
        added = axes_of(part, fixed, (FOR,))
        jobs = _with_added(jobs, condition, product(added))
        for key, words in known_words(added).items():
            known.setdefault(key, set()).update(words)
    exceptions = [condition_of(EXCLUDE, each, known, fixed) for each in mappings(names, EXCLUDE)]
    jobs = [job for job in jobs if not any(holds(each, job) for each in exceptions)]
    if not jobs:
        raise ConfigError(f"{EXCLUDE}: no job is left.")
    return jobs


def _names(item: Any) -> dict[str, Any]:
    """Return an item as a mapping; it may be a line of words as on the command line."""
    if isinstance(item, str):
        try:
            pairs = [word.partition("=") for word in shlex.split(item)]
        except ValueError as error:
            raise ConfigError(f"{item}: {error}.") from error
        if not pairs or not all(equals for _, equals, _ in pairs):
            raise ConfigError(f"{item}: must be words of the form KEY=VALUE.")
        return {key: value for key, _, value in pairs}
    if not isinstance(item, dict) or not item:
        raise ConfigError("must be a mapping of keys to values, or a line of words KEY=VALUE.")
    return item


def _with_added(jobs: Sequence[Words], condition: Condition, added: Sequence[Words]) -> list[Words]:
    """Return the jobs, each of those that fulfil a condition with each of the added words."""
    fulfilled = [holds(condition, job) for job in jobs]
    check_number(len(jobs) + sum(fulfilled) * (len(added) - 1))
    return [
        merged((job, more))
        for job, is_fulfilled in zip(jobs, fulfilled, strict=True)
        for more in (added if is_fulfilled else [{}])
    ]
