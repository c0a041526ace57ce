"""Refuse, before a sweep begins, a value that none of its jobs can use.

A value's type and range are checked when its job begins, which may be hours later. Checking a job
takes some 15 ms, so a sweep is not checked job by job but value by value, each with the first value
of every other key. Where that fails, the other keys take their other values, one at a time: a value
is refused if it fails in all of these jobs with the same message. A grid with holes, where two
values exclude each other, still runs; its holes are reported at the end of the sweep.
"""

from collections.abc import Callable
from pathlib import Path

from hydra.errors import HydraException

from harness.config.compose import Compose, composing
from harness.config.overrides import key_of, without_force_add
from harness.core.errors import ConfigError
from harness.sweeps.swept_values import check_number, parse_sweep

Job = tuple[int, ...]  # index of the value of each swept key


def check_values(overrides: list[str], config_dir: Path | None) -> None:
    """Raise `ConfigError` for the first value that no job can use.

    Nothing is checked where overrides alone do not decide a job: with another sweeper or launcher,
    which may run on another machine, with a resumed run, a sweep file, or an interpolation.
    """
    overrides = without_force_add(overrides)  # each job is composed with the groups that it chooses
    undecided = ("resume", "hydra/", "sweep.file")
    if any(key_of(word).startswith(undecided) or "${" in word for word in overrides):
        return
    with composing(config_dir) as compose:
        try:
            swept = parse_sweep(overrides)
        except HydraException:  # Hydra reports it
            return
        check_number(swept, overrides)
        check_each(list(swept.values.values()), swept.fixed, compose)


def check_each(values: list[list[str]], fixed: list[str], compose: Compose) -> None:
    """Raise `ConfigError` for the first value that no job can use; each key has a list of words."""
    failures: dict[Job, str] = {}

    def failure(job: Job) -> str:
        """Return the error message of a job; empty if it can be run."""
        if job not in failures:
            words = [words_of_key[index] for words_of_key, index in zip(values, job, strict=True)]
            failures[job] = _failure([*fixed, *words], compose)
        return failures[job]

    sizes = [len(words_of_key) for words_of_key in values]
    for key, size in enumerate(sizes):
        for index in range(size):
            _check_value(key, index, sizes, failure)


def _check_value(key: int, index: int, sizes: list[int], failure: Callable[[Job], str]) -> None:
    first = tuple(index if k == key else 0 for k in range(len(sizes)))
    message = failure(first)
    if message and all(failure(job) == message for job in _neighbours(first, key, sizes)):
        raise ConfigError(message)


def _neighbours(job: Job, key: int, sizes: list[int]) -> list[Job]:
    """Return the jobs that differ from `job` in the value of one key other than `key`."""
    return [
        (*job[:k], index, *job[k + 1 :])
        for k, size in enumerate(sizes)
        if k != key
        for index in range(1, size)
    ]


def _failure(words: list[str], compose: Compose) -> str:
    try:
        compose(words)
    except ConfigError as error:
        return str(error)
    return ""
