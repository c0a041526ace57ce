"""The end of a sweep's record: its numbers, its comparison and its status."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.search.summary import headline
from harness.sweeps.comparison import (
    finished_groups,
    gap_between_backends,
    summary,
    write_report,
)
from harness.sweeps.search_report import section_of
from harness.sweeps.sweep import Sweep
from harness.system.checksum import checksum
from harness.tracking.job_outcomes import DONE, Job, scalars
from harness.tracking.journal_writer import Journal

if TYPE_CHECKING:
    from optuna import Study


def end_record(
    sweep: Sweep, status: str, outcomes: Sequence[Job], study: "Study | None" = None
) -> None:
    """Write the end of a sweep to its journal; `study` is that of a search.

    A sweep that was stopped gets no report.
    """
    directory = Path(sweep.directory)
    journal = Journal(directory)
    try:
        groups = finished_groups(directory)
        gap = gap_between_backends(groups)
        values = scalars(outcomes) | ({} if gap is None else {"gap/largest": gap})
        unfinished = sum(job.status not in DONE for job in outcomes)
        journal.write("scalars", values=values)
        text = summary(groups, gap, unfinished)
        if study is not None and sweep.search is not None:
            text = f"{headline(study, sweep.search)}\n\n{text}"
        journal.write("summary", text=text)
        has_report = groups and status != "KILLED"
        section = section_of(sweep, study, groups) if has_report else None
        for path in write_report(directory, groups, section) if has_report else ():
            journal.write("file", path=path, **checksum(directory / path))
    finally:
        journal.write("end", status=status, error=None)
        journal.close()
