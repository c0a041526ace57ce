"""The end of a sweep: read its jobs' journals, print a table, end the parent run in MLflow."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.config.tracking_store import source_of
from harness.console.command_line import counted, override, python, shell_word
from harness.console.terminal import say
from harness.search.summary import show_search
from harness.sweeps.end import end_record
from harness.sweeps.resumed_sweep import KEY
from harness.sweeps.search_report import study_of, trials_begun
from harness.sweeps.sweep import Sweep
from harness.system.own_files import take_back
from harness.system.process_identity import is_running
from harness.tracking import mlflow_process
from harness.tracking.browse import compare_command, missing, say_next
from harness.tracking.dead_runs import end_if_dead
from harness.tracking.job_outcomes import DONE, Job, jobs, shown_loss
from harness.tracking.journal import BEGINNINGS, Event, end_of, first
from harness.tracking.launched_jobs import attempts, submission
from harness.tracking.sent import address, destination

GRACE = 10.0  # seconds in which processes of jobs that were stopped close their runs


def close(sweep: Sweep, killed: bool, console: Console) -> int:
    """Print every job's outcome, end the parent run, and return the exit code.

    It is 0 where all jobs finished, else 1, also where none has begun.
    """
    directory = Path(sweep.directory)
    if sweep.is_dry_run:
        take_back(directory)
        return 0
    submitted = None if killed else submission(directory)
    if submitted is not None and end_of(directory) is None:
        _show_submitted(directory, submitted, console)
        return 0
    _end_jobs(directory, stops=killed or sweep.fails_fast)
    outcomes = jobs(directory)
    if not outcomes and first(directory, ("start", "resumed")) is None:
        take_back(directory)  # refused before its first job: no folder is left
        return 1
    failed = [job for job in outcomes if job.status not in DONE]
    status = "KILLED" if killed else "FAILED" if failed else "FINISHED"
    study = study_of(sweep)
    try:
        end_record(sweep, status, outcomes, study)
    finally:
        mlflow_process.tell(directory, sweep.wait_seconds)
    console.print(_job_table(outcomes))
    if failed:
        console.print(f"\n[bold]{len(failed)} of {len(outcomes)} jobs did not finish[/bold]")
        for job in failed:
            console.print(f"  {escape(job.name)}: {job.status} {escape(job.error)}", soft_wrap=True)
            if job.status == "FAILED":
                say(f"    {job.command}", console)
    left = sweep.total - (len(outcomes) if study is None else trials_begun(sweep, study, outcomes))
    if left > 0:
        console.print(f"\n{left} of {sweep.total} jobs were not started")
    if study is not None and sweep.search is not None:
        show_search(study, sweep.search, console)
    say(f"\n  files    {shell_word(str(directory))}", console)
    if failed or left > 0:
        say(f"  go on    {python('harness', ['-m', override(KEY, str(directory))])}", console)
    _show_in_mlflow(directory, sweep.results, console)
    return 1 if failed else 0


def _show_submitted(directory: Path, submitted: Event, console: Console) -> None:
    """Print how to follow a sweep whose jobs others carry out."""
    ids = submitted["ids"]
    array = ids[0].partition("_")[0]
    console.print(f"submitted {counted(len(ids), 'task')}; this program is done")
    say(f"\n  files    {shell_word(str(directory))}", console)
    if submitted["to"] == "slurm":
        say(f"  look     squeue --jobs={array}", console)
        say(f"  stop     scancel {array}", console)
    say(f"  collect  {python('harness.sync', [str(directory)])}", console)
    say(f"  go on    {python('harness', ['-m', override(KEY, str(directory))])}", console)


def _end_jobs(directory: Path, stops: bool) -> None:
    """End jobs whose process is gone; wait for those that are just being closed by theirs.

    Processes of this machine that still train are stopped, if `stops`, as by Ctrl-C: a launcher may
    leave them alone.
    """
    limit = time.monotonic() + GRACE
    told: set[Path] = set()
    while time.monotonic() < limit:
        begun = [attempt.folder for attempt in attempts(directory)]
        still_open = [folder for folder in begun if not end_of(folder) and not end_if_dead(folder)]
        if not still_open:
            return
        for folder in still_open if stops else ():
            if folder not in told and _stop_process_of(folder):
                told.add(folder)
        time.sleep(0.1)


def _stop_process_of(folder: Path) -> bool:
    """Stop the process of a run, if it has begun and is another one of this machine."""
    process = (first(folder, BEGINNINGS) or {}).get("process")
    if process is None:
        return False
    if is_running(process) and process["pid"] != os.getpid():
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process["pid"], signal.SIGINT)
    return True


def _show_in_mlflow(directory: Path, results: str, console: Console) -> None:
    """Wait for MLflow, for a while, and print where the sweep is there."""
    if destination(directory) is None:
        return
    left = mlflow_process.wait_for_all()
    known = address(directory)
    if left or known is None:
        problem = next((run.problem for run in left if run.problem), "")
        say(f"  {missing(problem, directory)}", console)
        return
    uri = known["uri"]
    say(f"  MLflow   run {known['run_id']} in {uri}{source_of(uri)}", console)
    say_next(compare_command(results, uri), known, console)


def _job_table(outcomes: list[Job]) -> Table:
    """Return the table of jobs, with a column of folders where these differ from the numbers."""
    table = Table("#", "job", "status", "loss", "seconds", title="sweep", title_justify="left")
    elsewhere = any(job.folder not in ("", str(job.number)) for job in outcomes)
    if elsewhere:
        table.add_column("folder", overflow="fold")
    for job in outcomes:
        cells = [
            str(job.number),
            escape(job.name),
            job.shown_status,
            shown_loss(job),
            f"{job.seconds:.1f}",
        ]
        table.add_row(*cells, *([escape(job.folder)] if elsewhere else []))
    return table
