"""The end of a sweep: read its jobs' journals, print a table, end the parent run in MLflow."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.config.tracking_store import source_of
from harness.console.command_line import shell_word
from harness.console.terminal import say
from harness.runs.launched_jobs import LaunchedJob, launched_jobs
from harness.sweeps.sweep import Sweep
from harness.system.own_files import take_back
from harness.tracking import mlflow_process
from harness.tracking.browse import compare_command, say_next
from harness.tracking.journal import last, read
from harness.tracking.mlflow_store import NOTE
from harness.tracking.mlflow_writer import NUMBERS
from harness.tracking.run_log import RunLog

DESCRIPTION = 8000  # MLflow's limit on the length of a tag, in characters
LOSSES = (
    "final/val/loss",
    "final/train/loss",
    "val/loss",
    "train/loss",
)  # the first that an event has


@dataclass(frozen=True, kw_only=True)
class Job:
    """The outcome of one job of a sweep, from its journal."""

    number: int
    folder: str  # relative to the sweep's folder where it is inside, else absolute
    name: str
    status: str
    error: str = ""
    command: str = ""
    loss: float | None = None
    seconds: float = 0.0
    address: dict[str, str] = field(default_factory=dict)


def jobs(directory: Path) -> list[Job]:
    """Return every job that has begun or was refused, in the order of their numbers.

    A job whose journal has no end has the status LOST.
    """
    outcomes = [_outcome(job, directory) for job in launched_jobs(directory)]
    outcomes += [
        Job(
            number=event["number"],
            folder="",
            name=event["name"],
            status="FAILED",
            error=event["error"],
            command=event["command"],
        )
        for event in read(directory)
        if event["kind"] == "refused"
    ]
    return sorted(outcomes, key=lambda job: job.number)


def _outcome(job: LaunchedJob, sweep: Path) -> Job:
    journal = list(read(job.folder))
    events = {event["kind"]: event for event in journal}  # the latest of each kind
    values = [event["values"] for event in journal if event["kind"] in NUMBERS]
    losses = (float(np.mean(v[n])) for v in reversed(values) for n in LOSSES if n in v)
    start, end = events.get("start", events.get("refused", {})), events.get("end", {})
    inside = job.folder.is_relative_to(sweep)
    folder = str(job.folder.relative_to(sweep) if inside else job.folder)
    return Job(
        number=job.number,
        folder=folder,
        name=start.get("name", folder),
        status=end.get("status", "LOST"),
        error=end.get("error") or "",
        command=start.get("tags", start).get("command", ""),
        loss=next(losses, None),
        seconds=(end["time"] - start["time"]) / 1000 if end and start else 0.0,
        address={key: events.get("mlflow", {}).get(key, "") for key in ("run_id", "experiment_id")},
    )


def close(sweep: Sweep, killed: bool, console: Console) -> int:
    """Print every job's outcome, end the parent run, and return the exit code.

    It is 0 where all jobs finished, else 1, also where none has begun.
    """
    mlflow_process.wait()  # then the journals have each job's id in MLflow
    directory = Path(sweep.directory)
    outcomes = jobs(directory)
    if not outcomes:  # refused before its first job: no folder is left
        take_back(directory)
        return 1
    failed = [job for job in outcomes if job.status != "FINISHED"]
    _end_parent(directory, outcomes, "KILLED" if killed else "FAILED" if failed else "FINISHED")
    console.print(_job_table(outcomes))
    if failed:
        console.print(f"\n[bold]{len(failed)} of {len(outcomes)} jobs did not finish[/bold]")
        for job in failed:
            console.print(f"  {escape(job.name)}: {job.status} {escape(job.error)}", soft_wrap=True)
            say(f"    {job.command}", console)
    if killed and sweep.total > len(outcomes):
        console.print(f"\n{sweep.total - len(outcomes)} of {sweep.total} jobs were not started")
    start = last(directory, "start")
    say(f"\n  files    {shell_word(str(directory))}", console)
    address = last(directory, "mlflow")
    if start is not None and address is not None:
        command = compare_command(start["params"]["results"], address["uri"])
        uri = address["uri"]
        say(f"  MLflow   run {address['run_id']} in {uri}{source_of(uri)}", console)
        say_next(command, address, console)
    return 1 if failed else 0


def _job_table(outcomes: list[Job]) -> Table:
    """Return the table of jobs, with a column of folders where these differ from the numbers."""
    table = Table("#", "job", "status", "loss", "seconds", title="sweep", title_justify="left")
    elsewhere = any(job.folder not in ("", str(job.number)) for job in outcomes)
    if elsewhere:
        table.add_column("folder", overflow="fold")
    for job in outcomes:
        cells = [str(job.number), escape(job.name), job.status, _loss(job), f"{job.seconds:.1f}"]
        table.add_row(*cells, *([escape(job.folder)] if elsewhere else []))
    return table


def _end_parent(directory: Path, outcomes: list[Job], status: str) -> None:
    """End the sweep's parent run in MLflow, if there is one."""
    address, start = last(directory, "mlflow"), last(directory, "start")
    if address is None or start is None:
        return
    record = RunLog(directory, mlflow_process.track_on(directory, address))
    record.write("tags", values={NOTE: describe_jobs(outcomes, start["tags"]["command"])})
    record.end(status)


def describe_jobs(outcomes: list[Job], command: str) -> str:
    """Return the parent's description in Markdown: as many jobs as MLflow allows, best first."""
    ranked = sorted(outcomes, key=_rank)
    rows = ["| job | loss | status | seconds |", "|---|--:|---|--:|", *map(_markdown_row, ranked)]
    end = f"\n\n    {command}"
    while len(rows) > 2 and len("\n".join(rows)) + len(end) > DESCRIPTION - 40:
        rows.pop()
    left_out = len(ranked) - (len(rows) - 2)
    more = f"\n\n… and {left_out} more" if left_out else ""
    return ("\n".join(rows) + more + end)[:DESCRIPTION]


def _rank(job: Job) -> float:
    """Return the sort key of a job: its loss, or infinity where it has no finite one."""
    return job.loss if job.loss is not None and np.isfinite(job.loss) else np.inf


def _markdown_row(job: Job) -> str:
    """Return a job's row in the parent's description; its name links to its run in MLflow."""
    run = job.address.get("run_id")
    place = f"#/experiments/{job.address.get('experiment_id')}/runs/{run}"
    name = f"[{job.name}]({place})" if run else job.name
    return f"| {name} | {_loss(job)} | {job.status} | {job.seconds:.1f} |"


def _loss(job: Job) -> str:
    return "" if job.loss is None else f"{job.loss:.6g}"
