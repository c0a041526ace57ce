"""Runs by the names of their folders, which every run prints: `20261124-205901-558585` in
`results/runs`, and for a job of a sweep `20261124-205901-558585/3` in `results/multirun`.

MLflow knows nothing of these names, and takes seconds to say so.
"""

import re
from pathlib import Path

from harness.core.errors import ConfigError, nearest
from harness.runs.launched_jobs import Launched, launched

STAMP = re.compile(r"\d{8}-\d{6}-\d{6}(/\d+)?")


def folder_named(key: str, word: str, results: Path) -> Path | None:
    """The folder of that name in the results; None for a word that may be MLflow's.

    `key` is what the user typed in front of it. Raises `ConfigError` for what can be nothing else.
    """
    if word in (".", "..") or not all(part for part in word.split("/")):
        return None
    for place in ("runs", "multirun"):
        found = results / place / word
        if found.is_dir():
            if place == "multirun" and (jobs := launched(found)):
                first = _name(jobs[0], results)
                raise ConfigError(f"{key}{word}: is a sweep; name one of its jobs: {first}.")
            return found
    if STAMP.fullmatch(word):
        known = [path.name for path in results.glob("runs/*")]
        known += [
            _name(job, results) for path in results.glob("multirun/*") for job in launched(path)
        ]
        raise ConfigError(
            f"{key}{word}: there is no such run in {places(results)}.{nearest(word, known)}"
        )
    return None


def _name(job: Launched, results: Path) -> str:
    """What to type for a job of a sweep."""
    home = results / "multirun"
    return str(job.folder.relative_to(home) if job.folder.is_relative_to(home) else job.folder)


def places(results: Path, *others: str) -> str:
    """Where runs are looked for, in words."""
    *first, last = [str(results / "runs"), str(results / "multirun"), *others]
    return f"{', '.join(first)} or {last}"
