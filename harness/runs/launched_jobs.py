"""The jobs of a sweep, wherever their folders are: the sweep's journal lists each as it begins.

`hydra.sweep.subdir` may put a job at any depth, so jobs are not found by looking for folders.
"""

from dataclasses import dataclass
from pathlib import Path

from harness.tracking.journal import append, read


@dataclass(frozen=True)
class Launched:
    """One job that has begun."""

    number: int
    folder: Path


def note_job(sweep: Path, number: int, folder: Path) -> None:
    """List a job in the journal of the sweep whose folder is `sweep`."""
    folder = folder.absolute()
    inside = folder.is_relative_to(sweep)
    append(sweep, "job", number=number, folder=str(folder.relative_to(sweep) if inside else folder))


def launched(sweep: Path) -> list[Launched]:
    """Every job that has begun, by number."""
    events = [event for event in read(sweep) if event["kind"] == "job"]
    found = [Launched(event["number"], sweep / event["folder"]) for event in events]
    return sorted(found, key=lambda job: job.number)
