"""Runs and sweeps whose process is gone: their journals have no end, and nobody will write one.

The journal names its process. Whether a process of another machine still runs is only known from
the journal's file, whose time that process renews (see `harness.tracking.journal_sync`).
"""

import time
from pathlib import Path

from filelock import FileLock

from harness.core.file_names import JOURNAL, SENT_LOCK
from harness.system.process_identity import is_running
from harness.tracking.job_outcomes import jobs, scalars, status_of
from harness.tracking.journal import BEGINNINGS, Event, end_of, first, last
from harness.tracking.journal_writer import Journal
from harness.tracking.launched_jobs import attempts, launched_jobs, submission

HEARTBEAT_AGE = 600.0  # seconds after which a run of another machine counts as dead


def is_dead(directory: Path, is_gone: bool = False) -> bool:
    """Return whether the journal has no end, and the process that wrote it is gone.

    `is_gone` says that the latter is known from elsewhere.
    """
    return end_of(directory) is None and (is_gone or is_abandoned(directory))


def is_abandoned(directory: Path) -> bool:
    """Return whether the process that wrote the journal is gone, with or without an end."""
    begin = first(directory, BEGINNINGS)
    if begin is None:
        return False
    if begin["kind"] == "sweep":  # another process may go on with it
        begin = last(directory, "resumed") or begin
        if submission(directory) is not None:
            return _have_all_ended(directory)
    running = None if "process" not in begin else is_running(begin["process"])
    return _is_silent(directory) if running is None else not running


def _have_all_ended(sweep: Path) -> bool:
    """Return whether every job of a submitted sweep has ended, and none still waits."""
    planned = (first(sweep, ("sweep",)) or {}).get("jobs", 0)
    begun = launched_jobs(sweep)
    return len(begun) >= planned > 0 and all(
        end_of(job.folder) is not None or is_abandoned(job.folder) for job in begun
    )


def _is_silent(directory: Path) -> bool:
    """Return whether nothing touched the journal of late, nor one of a sweep's jobs that go on."""
    folders = [job.folder for job in attempts(directory)]
    going_on = [job for job in folders if (job / JOURNAL).exists() and end_of(job) is None]
    newest = max((run / JOURNAL).stat().st_mtime for run in (directory, *going_on))
    return time.time() - newest > HEARTBEAT_AGE


def end_if_dead(directory: Path, is_gone: bool = False) -> bool:
    """Write the missing end of a dead run or sweep into its journal; return whether it was dead.

    See `is_dead`. A sweep gets its status from its jobs, whose own ends are written first.
    """
    begin = first(directory, BEGINNINGS)
    if begin is None or not is_dead(directory, is_gone):
        return False
    ending = ("KILLED", True)
    if begin["kind"] == "sweep":
        ending = _sweep_end(directory, begin, is_gone)
    with FileLock(directory / SENT_LOCK):
        if is_dead(directory, is_gone):  # another process may have been quicker
            status, was_killed = ending
            error = "the process was killed" if was_killed else None
            journal = Journal(directory)
            if begin["kind"] == "sweep":
                journal.write("scalars", values=scalars(jobs(directory)))
            journal.write("end", status=status, error=error)
            journal.close()
    return True


def _sweep_end(directory: Path, begin: Event, is_gone: bool) -> tuple[str, bool]:
    outcomes = jobs(directory)
    for attempt in attempts(directory):
        end_if_dead(attempt.folder, is_gone)
    status = status_of(outcomes, begin["jobs"])
    return status, status == "KILLED"
