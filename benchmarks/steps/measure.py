"""Measure the time of a training step: every framework's contestants on every network."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common.cases import Case
from benchmarks.common.processes import messages
from benchmarks.common.progress import Progress
from benchmarks.common.worker import Job

Row = dict[str, Any]


def measure(jobs: list[Job], memory: bool) -> list[Row]:
    """Return a row for each contestant; one that could not be timed has an `error`."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch, Progress() as progress:
        for job in jobs:
            rows += _timed(job, Path(scratch), progress)
        for row in rows if memory else ():
            if not row["error"]:
                job = next(job for job in jobs if _has(job, row))
                _measure_memory(row, job, Path(scratch), progress)
    for row in rows:
        row["quoted"] = _quoted(row, rows)
        row["ratios"] = _ratios(row, rows)
    return rows


def _has(job: Job, row: Row) -> bool:
    sizes = {case.size for case in job.cases}
    return job.framework == row["framework"] and row["size"] in sizes


def _timed(job: Job, scratch: Path, progress: Progress) -> list[Row]:
    """Return the rows of one process, and a row with an `error` if the process died."""
    rows, at = [], f"{job.framework}: "
    for message in messages(job, scratch):
        if "doing" in message:
            at = message["doing"]
            where, _, what = at.partition(": ")
            progress.say(where, what)
        elif "row" in message:
            rows.append(message["row"])
        else:
            case = _died_at(job, rows)
            row = {"framework": job.framework, "label": "process", "name": "process"}
            row |= {"ours": False, "best_of": "", **case.facts()}
            rows.append(row | {"error": f"{message['died']} (at {at})"})
    return rows


def _died_at(job: Job, rows: list[Row]) -> Case:
    """Return the first network without rows."""
    done = {(row["size"], row["cell"]) for row in rows}
    left = [case for case in job.cases if (case.size, case.cell) not in done]
    return left[0] if left else job.cases[-1]


def _measure_memory(row: Row, job: Job, scratch: Path, progress: Progress) -> None:
    """Measure a row's peak memory in a separate process."""
    progress.say(f"{row['framework']}, {row['size']}, {row['cell']}, memory", row["name"])
    for message in messages(replace(job, cases=[Case.of(row)], memory_of=row["name"]), scratch):
        if "memory" in message:
            row["memory_bytes"] = message["memory"]
        else:
            row["error"] = message["died"]


def same_network(row: Row, rows: list[Row]) -> list[Row]:
    """Return the timed rows of the same framework and network, `row` among them."""
    keys = ("framework", "size", "cell")
    return [r for r in rows if "us" in r and all(r[key] == row[key] for key in keys)]


def _quoted(row: Row, rows: list[Row]) -> bool:
    """Whether tables show a row: of rows that differ in one setting, only the fastest."""
    same = [r for r in same_network(row, rows) if r["best_of"] and r["best_of"] == row["best_of"]]
    return not same or row is min(same, key=lambda r: r["us"]["median"]) or bool(row["error"])


def _ratios(row: Row, rows: list[Row]) -> dict[str, float]:
    """Return, for a row of the harness, each one-replica contestant's time relative to it."""
    if not row["ours"] or "us" not in row:
        return {}
    others = [r for r in same_network(row, rows) if r is not row and r["replicas"] == 1]
    return {r["name"]: r["us"]["median"] / row["us"]["median"] for r in others}
