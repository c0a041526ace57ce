"""How a sweep ended: read from its jobs' journals, told to the user and to MLflow's parent run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness import courier
from harness.folders import remove
from harness.journal import last, read
from harness.mlflow_store import NOTE
from harness.record import Record
from harness.sweep import Sweep
from harness.terminal import compare_command, say_next
from harness.tracking import NUMBERS

DESCRIPTION = 8000  # characters that MLflow keeps of a tag
LOSSES = ("final/val/loss", "final/train/loss", "val/loss", "train/loss")


@dataclass(frozen=True)
class Job:
    """How one job of a sweep ended, from its journal."""

    number: str
    name: str
    status: str
    error: str
    command: str
    loss: float | None
    seconds: float
    address: dict[str, str]


def jobs(directory: Path) -> list[Job]:
    """Every job that has begun, by number. One that never wrote its end is LOST."""
    found = []
    for folder in sorted(directory.iterdir(), key=lambda f: (len(f.name), f.name)):
        journal = list(read(folder)) if folder.is_dir() else []
        if not journal:
            continue
        events = {event["kind"]: event for event in journal}  # the latest of each kind
        values = [e["values"] for e in journal if e["kind"] in NUMBERS]
        kept = (float(np.mean(v[n])) for v in reversed(values) for n in LOSSES if n in v)
        start, end = events.get("start", events.get("refused", {})), events.get("end", {})
        address = {k: events.get("mlflow", {}).get(k, "") for k in ("run_id", "experiment_id")}
        found.append(
            Job(
                folder.name,
                start.get("name", folder.name),
                end.get("status", "LOST"),
                end.get("error") or "",
                start.get("tags", start).get("command", ""),
                next(kept, None),
                (end.get("time", 0) - start["time"]) / 1000 if end else 0.0,
                address,
            )
        )
    return found


def close(sweep: Sweep, killed: bool, console: Console) -> int:
    """Print how every job ended, end the parent run, and return the exit code."""
    courier.wait()  # until MLflow has given each job its id
    directory = Path(sweep.directory)
    found = jobs(directory) if directory.is_dir() else []
    if not found:  # refused before its first job: leave nothing behind
        remove(directory)
        return 1
    failed = [job for job in found if job.status != "FINISHED"]
    _end_parent(directory, found, "KILLED" if killed else "FAILED" if failed else "FINISHED")
    console.print(_job_table(found))
    if failed:
        console.print(f"\n[bold]{len(failed)} of {len(found)} jobs did not finish[/bold]")
        for job in failed:
            console.print(f"  {escape(job.name)}: {job.status} {escape(job.error)}", soft_wrap=True)
            console.print(f"    {escape(job.command)}", soft_wrap=True)
    if killed and sweep.total > len(found):
        console.print(f"\n{sweep.total - len(found)} of {sweep.total} jobs were not started")
    start = last(directory, "start")
    console.print(f"\n  files    {directory}", soft_wrap=True)
    address = last(directory, "mlflow")
    if start is not None and address is not None:
        command = compare_command(start["params"]["results"], address["uri"])
        say_next(command, address, console)
    return 1 if failed else 0


def _job_table(found: list[Job]) -> Table:
    table = Table("#", "job", "status", "loss", "seconds", title="sweep", title_justify="left")
    for job in found:
        cells = (escape(job.number), escape(job.name), job.status, _loss(job), f"{job.seconds:.1f}")
        table.add_row(*cells)
    return table


def _end_parent(directory: Path, found: list[Job], status: str) -> None:
    """Nothing to do where MLflow never heard of the sweep."""
    address, start = last(directory, "mlflow"), last(directory, "start")
    if address is None or start is None:
        return
    record = Record(directory, courier.track_on(directory, address))
    record.write("tags", values={NOTE: _description(found, start["tags"]["command"])})
    record.end(status)


def _description(found: list[Job], command: str) -> str:
    """The parent's page: best first, as many jobs as MLflow's limit on a description allows."""
    ranked = sorted(found, key=_rank)
    rows = ["| job | loss | status | seconds |", "|---|--:|---|--:|", *map(_markdown_row, ranked)]
    end = f"\n\n    {command}"
    while len(rows) > 2 and len("\n".join(rows)) + len(end) > DESCRIPTION - 40:
        rows.pop()
    left_out = len(ranked) - (len(rows) - 2)
    more = f"\n\n… and {left_out} more" if left_out else ""
    return ("\n".join(rows) + more + end)[:DESCRIPTION]


def _rank(job: Job) -> float:
    """By loss; jobs without one, or with one that is not finite, come last."""
    return job.loss if job.loss is not None and np.isfinite(job.loss) else np.inf


def _markdown_row(job: Job) -> str:
    """A child in the parent's description; its name links to it, in whichever experiment it is."""
    place = f"#/experiments/{job.address['experiment_id']}/runs/{job.address['run_id']}"
    name = f"[{job.name}]({place})" if job.address["run_id"] else job.name
    return f"| {name} | {_loss(job)} | {job.status} | {job.seconds:.1f} |"


def _loss(job: Job) -> str:
    return "" if job.loss is None else f"{job.loss:.6g}"
