"""The end of a sweep's record: its numbers, its comparison and its status."""

from collections.abc import Sequence
from pathlib import Path

from harness.sweeps.comparison import (
    finished_groups,
    gap_between_backends,
    summary,
    write_report,
)
from harness.system.checksum import checksum
from harness.tracking.job_outcomes import Job, scalars
from harness.tracking.journal import Journal


def end_record(directory: Path, status: str, outcomes: Sequence[Job]) -> None:
    """Write the end of a sweep to its journal. One that was stopped gets no report."""
    journal = Journal(directory)
    try:
        groups = finished_groups(directory)
        gap = gap_between_backends(groups)
        values = scalars(outcomes) | ({} if gap is None else {"gap/largest": gap})
        unfinished = sum(job.status != "FINISHED" for job in outcomes)
        journal.write("scalars", values=values)
        journal.write("summary", text=summary(groups, gap, unfinished))
        for path in write_report(directory, groups) if groups and status != "KILLED" else ():
            journal.write("file", path=path, **checksum(directory / path))
    finally:
        journal.write("end", status=status, error=None)
        journal.close()
