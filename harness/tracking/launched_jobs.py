"""The jobs of a sweep that have begun: the sweep's journal lists each as it begins.

`hydra.sweep.subdir` may put a job's folder at any depth, so jobs are not found by their folders. A
job that is begun again, since its process was killed, has a new folder, and the last one counts.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from harness.tracking.journal import Event, first, last, read
from harness.tracking.journal_writer import append


@dataclass(frozen=True)
class LaunchedJob:
    """A job that has begun."""

    number: int
    folder: Path
    reused: bool = False  # a finished run outside the sweep, which was not trained again
    journal: str = ""  # id of the journal of such a run, by which MLflow has it, too


def relative_path(path: Path, directory: Path) -> str:
    """Return `path` as seen from `directory`, so that both may be moved together."""
    try:
        return Path(os.path.relpath(path.resolve(), directory.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return str(path.resolve())


def record_job(sweep: Path, number: int, folder: Path, reused: bool = False) -> None:
    """Add a job to the journal of the sweep in the folder `sweep`."""
    more = {}
    if reused:
        more = {"reused": True, "journal": (first(folder, ("start",)) or {}).get("id", "")}
    append(sweep, "job", number=number, folder=relative_path(folder, sweep), **more)


def launched_jobs(sweep: Path) -> list[LaunchedJob]:
    """Return every job that has begun with its last folder, in the order of their numbers."""
    last = {job.number: job for job in attempts(sweep)}
    return [last[number] for number in sorted(last)]


def linked_jobs(sweep: Path) -> list[LaunchedJob]:
    """Return the jobs of a sweep that are runs outside it."""
    return [job for job in launched_jobs(sweep) if job.reused]


def attempts(sweep: Path) -> list[LaunchedJob]:
    """Return every folder in which a job has begun, in the order in which they were begun."""
    return [attempt_of(sweep, event) for event in read(sweep) if event["kind"] == "job"]


def attempt_of(sweep: Path, event: Event) -> LaunchedJob:
    """Return what an event `job` of the sweep's journal says."""
    folder = Path(os.path.normpath(sweep / event["folder"]))
    reused, journal = event.get("reused", False), event.get("journal", "")
    return LaunchedJob(event["number"], folder, reused, journal)


def submission(sweep: Path) -> Event | None:
    """Return how a sweep was submitted to others, unless somebody has gone on with it since."""
    event, resumed = last(sweep, "submitted"), last(sweep, "resumed")
    is_newest = event and (resumed is None or resumed["time"] <= event["time"])
    return event if is_newest else None
