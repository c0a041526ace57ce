"""Find runs by the names of their folders in the results.

Every run prints its name: `20261124-205901-558585` in `results/runs`, and for a job of a sweep
`20261124-205901-558585/3` in `results/multirun`, also where it is a run that the sweep links to.
MLflow does not know these names, and takes seconds to say so.
"""

import re
from pathlib import Path

from harness.core.errors import ConfigError, nearest
from harness.tracking.launched_jobs import LaunchedJob, launched_jobs, linked_jobs

STAMP = re.compile(r"\d{8}-\d{6}-\d{6}(/\d+)?")


def folder_named(key: str, word: str, results: Path) -> Path | None:
    """Return the folder named `word` in the results; None where `word` may name a run in MLflow.

    `key` is what the user typed before `word`, for messages. Raises `ConfigError` for a sweep, and
    for a word of the form of a folder's name where there is no such folder.
    """
    if word in (".", "..") or not all(part for part in word.split("/")):
        return None
    for place in ("runs", "multirun"):
        folder = results / place / word
        if folder.is_dir():
            if place == "multirun" and (jobs := launched_jobs(folder)):
                first = _name(jobs[0], results)
                raise ConfigError(f"{key}{word}: is a sweep; name one of its jobs: {first}.")
            return folder
    linked = linked_folder(results / "multirun" / word)
    if linked is not None:
        return linked
    if STAMP.fullmatch(word):
        known = [path.name for path in results.glob("runs/*")]
        known += [
            _name(job, results)
            for path in results.glob("multirun/*")
            for job in launched_jobs(path)
        ]
        raise ConfigError(
            f"{key}{word}: there is no such run in {places(results)}.{nearest(word, known)}"
        )
    return None


def linked_folder(folder: Path) -> Path | None:
    """Return the folder of the run to which a sweep links as its job `folder`, or None."""
    sweep, number = folder.parent, folder.name
    return next((job.folder for job in linked_jobs(sweep) if str(job.number) == number), None)


def _name(job: LaunchedJob, results: Path) -> str:
    """Return the name of a sweep's job, as it can be typed."""
    sweeps = results / "multirun"
    return str(job.folder.relative_to(sweeps) if job.folder.is_relative_to(sweeps) else job.folder)


def places(results: Path, *others: str) -> str:
    """Name the places where runs are searched, for messages."""
    *first, last = [str(results / "runs"), str(results / "multirun"), *others]
    return f"{', '.join(first)} or {last}"
