"""The outcome of each job of a sweep, from the jobs' journals."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness.tracking import sent
from harness.tracking.destination import Destination
from harness.tracking.journal import first, last, read
from harness.tracking.launched_jobs import LaunchedJob, launched_jobs

DESCRIPTION = 8000  # MLflow's limit on the length of a tag, in characters
DONE = ("FINISHED", "PRUNED")  # statuses of jobs of which nothing is left to do
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
    address: dict[str, str] = field(default_factory=dict[str, str])
    is_linked: bool = False  # a run outside the sweep

    @property
    def shown_status(self) -> str:
        """The status as tables have it."""
        return f"{self.status}, linked" if self.is_linked else self.status


def jobs(
    directory: Path, place: Destination | None = None, numbers: Container[int] | None = None
) -> list[Job]:
    """Return every job that has begun or was refused, in the order of their numbers.

    A job whose journal has no end has the status LOST, one that a search has pruned PRUNED. `place`
    is the store whose addresses are asked for, by default the jobs' own; `numbers` are those of the
    jobs that are asked for, by default all.
    """
    begun = (job for job in launched_jobs(directory) if numbers is None or job.number in numbers)
    outcomes = [outcome(job, directory, place) for job in begun]
    outcomes += [
        Job(
            number=event["number"],
            folder="",
            name=event["name"],
            status="FAILED",
            error=event.get("error") or "",
            command=event["command"],
        )
        for event in read(directory)
        if event["kind"] == "refused"
        and "number" in event
        and (numbers is None or event["number"] in numbers)
    ]
    return sorted(outcomes, key=lambda job: job.number)


def outcome(job: LaunchedJob, sweep: Path, place: Destination | None = None) -> Job:
    """Return how one job of a sweep has ended; see `jobs`."""
    journal = list(read(job.folder))
    events = {event["kind"]: event for event in journal}  # the latest of each kind
    values: list[dict[str, float | list[float]]] = [
        event["values"] for event in journal if event["kind"] in ("metrics", "scalars")
    ]
    losses = (float(np.mean(v[n])) for v in reversed(values) for n in LOSSES if n in v)
    start, end = events.get("start", events.get("refused", {})), events.get("end", {})
    inside = job.folder.is_relative_to(sweep)
    folder = str(job.folder.relative_to(sweep) if inside else job.folder)
    return Job(
        number=job.number,
        folder=folder,
        name=start.get("name", folder),
        status="PRUNED" if end.get("pruned") else end.get("status", "LOST"),
        error=end.get("error") or "",
        command=start.get("tags", start).get("command", ""),
        loss=next(losses, None),
        seconds=(end["time"] - start["time"]) / 1000 if end and start else 0.0,
        address=sent.address(job.folder, place) or {},
        is_linked=job.reused,
    )


def status_of(outcomes: Sequence[Job], planned: int) -> str:
    """Return the status of a sweep of `planned` jobs (0: unknown) from those of its jobs."""
    statuses = {job.status for job in outcomes}
    if statuses & {"KILLED", "LOST"} or len(outcomes) < planned:
        return "KILLED"
    return "FINISHED" if statuses and statuses <= set(DONE) else "FAILED"


def scalars(outcomes: Sequence[Job]) -> dict[str, float]:
    """Return the metrics of a sweep itself: how its jobs have ended, and the lowest loss."""
    finished = [job for job in outcomes if job.status == "FINISHED"]
    pruned = sum(job.status == "PRUNED" for job in outcomes)
    values: dict[str, float] = {
        "jobs/finished": len(finished),
        "jobs/failed": len(outcomes) - len(finished) - pruned,
    }
    values |= {"jobs/pruned": pruned} if pruned else {}
    best = min(map(_rank, finished), default=np.inf)
    return values | ({"loss/best": best} if np.isfinite(best) else {})


def description(directory: Path, place: Destination | None = None) -> str:
    """Return the description of a sweep in Markdown, with links to its jobs in `place`."""
    start = first(directory, ("start",)) or {}
    summary = last(directory, "summary") or {}
    command = start.get("tags", {}).get("command", "")
    return describe_jobs(jobs(directory, place), command, summary.get("text", ""))


def describe_jobs(outcomes: Sequence[Job], command: str, summary: str = "") -> str:
    """Return the parent's description in Markdown: as many jobs as MLflow allows, best first.

    It begins with `summary`, a paragraph.
    """
    ranked = sorted(outcomes, key=_rank)
    begin = [f"{summary}\n"] if summary else []
    begin += ["| job | loss | status | seconds |", "|---|--:|---|--:|"]
    rows = [*begin, *map(_markdown_row, ranked)]
    end = f"\n\n``{command}``"  # not a block, which MLflow's page does not wrap
    while len(rows) > len(begin) and len("\n".join(rows)) + len(end) > DESCRIPTION - 40:
        rows.pop()
    left_out = len(ranked) - (len(rows) - len(begin))
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
    return f"| {name} | {shown_loss(job)} | {job.shown_status} | {job.seconds:.1f} |"


def shown_loss(job: Job) -> str:
    """Return a job's loss as text; empty if it has none."""
    return "" if job.loss is None else f"{job.loss:.6g}"
