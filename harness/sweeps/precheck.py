"""Find, before a sweep begins, a value that none of its jobs can use.

A value's type and range are checked when its job begins, which may be hours later. To check a job
takes some 15 ms, so a sweep is checked value by value, each with the others at their first, and not
job by job. Where that fails, the other keys take their other values, one at a time: a value is
refused if it fails in all of these with the same words. A grid with holes, jobs that two values
exclude together, runs as before and its holes are reported with the sweep's end.
"""

import re
from collections.abc import Callable
from pathlib import Path

from hydra.errors import HydraException

from harness.config.compose import Compose, composing
from harness.config.overrides import key_of, without_force_add
from harness.core.errors import ConfigError
from harness.sweeps.swept_values import parse_sweep

Job = tuple[int, ...]  # which value of each key that is swept


def check_values(overrides: list[str], config_dir: Path | None) -> None:
    """Raises `ConfigError` for the first value that no job can use.

    Nothing is said where a job is more than its overrides: one of another sweeper or launcher,
    which may run on another machine, of a resumed run, or with an interpolation.
    """
    overrides = without_force_add(overrides)  # each job has the options that it chooses
    if any(key_of(word).startswith(("resume", "hydra/")) or "${" in word for word in overrides):
        return
    with composing(config_dir) as compose:
        try:
            swept = parse_sweep(overrides)
        except HydraException:  # Hydra says so itself
            return
        for word in swept.intervals:
            raise ConfigError(
                f"{word}: only a search takes an interval; list values, as in {_listed(word)}."
            )
        _check(list(swept.values.values()), swept.fixed, compose)


def _listed(interval: str) -> str:
    """`lr=interval(0.1,1)` as `lr=0.1,1`."""
    return re.sub(r"interval\((.*)\)", r"\1", interval)


def _check(values: list[list[str]], fixed: list[str], compose: Compose) -> None:
    found: dict[Job, str] = {}

    def failure(job: Job) -> str:
        """What is wrong with a job; empty if it can be run."""
        if job not in found:
            words = [own[index] for own, index in zip(values, job, strict=True)]
            found[job] = _failure([*fixed, *words], compose)
        return found[job]

    sizes = [len(own) for own in values]
    for key, size in enumerate(sizes):
        for index in range(size):
            _check_value(key, index, sizes, failure)


def _check_value(key: int, index: int, sizes: list[int], failure: Callable[[Job], str]) -> None:
    first = tuple(index if other == key else 0 for other in range(len(sizes)))
    said = failure(first)
    if said and all(failure(job) == said for job in _beside(first, key, sizes)):
        raise ConfigError(said)


def _beside(job: Job, key: int, sizes: list[int]) -> list[Job]:
    """The jobs that differ from `job` in one value, but have the same of `key`."""
    return [
        (*job[:other], index, *job[other + 1 :])
        for other, size in enumerate(sizes)
        if other != key
        for index in range(1, size)
    ]


def _failure(words: list[str], compose: Compose) -> str:
    try:
        compose(words)
    except ConfigError as error:
        return str(error)
    return ""
