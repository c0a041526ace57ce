"""`python -m harness.compare`: the same training in several backends, side by side.

Runs that differ in nothing but the backend form a group. Within it the curves are compared: the
gap between two is the largest |a − b| / max(|a|, |b|) over all epochs of `train/loss` and
`val/loss`. A gap says how far apart two runs are, not whether that is more than rounding explains.
"""

import argparse
import itertools
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.arguments import Parser
from harness.config import TrackingConfig
from harness.errors import ConfigError, first_line
from harness.report import formatted, write_report
from harness.terminal import console
from harness.tracked import TrackedRun, find_runs, latest_sweep
from harness.tracking import client, tracking_uri

BACKEND_KEYS = ("backend.name", "device", "threads")  # may differ within a group
INDEX = ["split", "replica", "sample", "time_step", "output"]
ORDER = ("numpy", "torch", "keras", "jax")


@dataclass
class Group:
    """One configuration in several backends."""

    title: str
    runs: dict[str, TrackedRun]  # backend -> its latest run

    @property
    def reference(self) -> str:
        """The backend that the others are measured against: the first, NumPy if it is there."""
        return next(iter(self.runs))


def group_runs(runs: Iterable[TrackedRun]) -> list[Group]:
    """Sort runs into groups; of repeated runs the latest that finished counts. A title is the
    task's name (or its preset's) and the settings in which groups of that name differ."""
    found: dict[tuple, dict[str, TrackedRun]] = {}
    for run in sorted(runs, key=lambda r: (r.status == "FINISHED", r.start_time)):
        key = tuple(sorted((k, v) for k, v in run.params.items() if k not in BACKEND_KEYS))
        found.setdefault(key, {})[run.params.get("backend.name", "?")] = run
    names = {key: _name(next(iter(by_backend.values()))) for key, by_backend in found.items()}
    groups = []
    for key, by_backend in found.items():
        params = dict(key)
        varying = _varying([dict(k) for k in found if names[k] == names[key]])
        title = " ".join([names[key], *(f"{k}={params[k]}" for k in varying if k in params)])
        ranked = sorted(by_backend, key=lambda n: (ORDER.index(n) if n in ORDER else 99, n))
        groups.append(Group(title, {name: by_backend[name] for name in ranked}))
    return groups


def _name(run: TrackedRun) -> str:
    return run.tags.get("preset") or run.params.get("task.name", "?")


def _varying(settings: list[dict[str, str]]) -> list[str]:
    """The settings in which groups of one name differ."""
    keys = sorted(set().union(*settings)) if settings else []
    return [k for k in keys if len({s.get(k) for s in settings}) > 1]


def gap(one: pd.DataFrame, other: pd.DataFrame) -> float:
    """The largest relative difference between two runs' curves; NaN if neither has any, infinite
    where only one of them has an epoch or a finite value."""
    if one.empty and other.empty:
        return float("nan")
    if not one.index.equals(other.index):
        return float("inf")
    names = [n for n in one.columns if n in other.columns]
    a, b = one[names].to_numpy(float), other[names].to_numpy(float)
    if (np.isfinite(a) != np.isfinite(b)).any():
        return float("inf")
    largest = np.maximum(np.abs(a), np.abs(b))
    share = np.divide(np.abs(a - b), largest, out=np.zeros_like(a), where=largest > 0)
    return float(np.nanmax(share))


def summary_table(groups: list[Group]) -> pd.DataFrame:
    """One row per group and backend; `gap` is to the group's first backend, `largest gap` is the
    largest between any two of the group."""
    rows = []
    for group in groups:
        pairs = itertools.combinations(group.runs.values(), 2)
        widest = max((gap(a.curves, b.curves) for a, b in pairs), default=float("nan"))
        for name, run in group.runs.items():
            metric = run.final
            rows.append(
                {
                    "task": group.title,
                    "backend": name,
                    "status": run.status,
                    "train loss": metric("train/loss"),
                    "val loss": metric("val/loss"),
                    "test loss": metric("test/loss"),
                    "parameters": int(metric("params/total") or 0),
                    "seconds": metric("time/train_s"),
                    "µs per step": metric("time/per_step_us"),
                    "gap": gap(group.runs[group.reference].curves, run.curves),
                    "largest gap": widest,
                }
            )
    return pd.DataFrame(rows)


def side_by_side(group: Group, folder: Path) -> pd.DataFrame | None:
    """Predictions of all backends of a group: `split … output, true` and a column for each."""
    columns: dict[str, Any] = {}
    for name, run in group.runs.items():
        table = run.predictions(Path(tempfile.mkdtemp(dir=folder)))
        if table is not None:
            table = table.set_index(INDEX)
            columns.setdefault("true", table["true"])
            columns[name] = table["predicted"]
    return pd.DataFrame(columns).reset_index() if columns else None


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        return _compare(_parse(arguments))
    except ConfigError as error:
        print(error, file=sys.stderr)
    except Exception as error:
        if type(error).__name__ not in ("MlflowException", "RestException"):  # late import
            raise
        print(f"MLflow does not answer this: {first_line(error)[:300]}", file=sys.stderr)
    return 2


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python -m harness.compare",
        description="Compare runs of different backends; by default those of the latest sweep.",
    )
    add = parser.add_argument
    add("--results", default="results", type=Path, help="folder of the runs (default: results)")
    add("--uri", help="MLflow's tracking URI (default: mlflow.db in the results folder)")
    add("--parent", metavar="RUN_ID", help="the sweep whose jobs are compared")
    add("--experiment", metavar="NAME", help="all runs of one MLflow experiment")
    add("--filter", metavar="CONDITION", help="e.g. \"params.model.cell = 'lstm'\"")
    return parser.parse_args(arguments)


def _compare(options: argparse.Namespace) -> int:
    uri = tracking_uri(TrackingConfig("mlflow", options.uri, None, 0.0), options.results)
    if uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists():
        raise ConfigError(
            f"--results {options.results}: there is no {uri}; run `python -m harness` first, or "
            "name the folder of your runs."
        )
    mlflow = client(uri)
    parent = options.parent
    if not (parent or options.experiment or options.filter):
        parent = latest_sweep(mlflow)
    runs = find_runs(mlflow, parent, options.experiment, options.filter)
    if not runs:
        raise ConfigError("no runs found: loosen --parent, --experiment or --filter.")
    groups = group_runs(runs)
    table = summary_table(groups)
    folder = options.results / "reports" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as fetched:
        predictions = {g.title: side_by_side(g, Path(fetched)) for g in groups}
    shown = {title: rows for title, rows in predictions.items() if rows is not None}
    chosen = [f"sweep {parent}"] if parent else []
    chosen += [f"experiment {options.experiment}"] if options.experiment else []
    chosen += [f"where {options.filter}"] if options.filter else []
    source = f"{len(runs)} runs of {', '.join(chosen) or 'every experiment'} in {uri}"
    write_report(folder, source, table, {g.title: g.runs for g in groups}, shown)
    _show(table, console())
    print(f"\n  {len(runs)} runs in {len(groups)} groups; report: {folder}/report.html")
    return 0


def _show(table: pd.DataFrame, console: Console) -> None:
    """The columns that fit a terminal; the report has all."""
    columns = ["task", "backend", "train loss", "val loss", "test loss", "parameters", "seconds"]
    rows: Any = formatted(table.loc[:, [*columns, "gap"]], digits=4)
    shown = Table(*columns, f"gap to {table['backend'].iloc[0]}")
    for group in table["task"].unique():
        for row in rows[rows["task"] == group].itertuples(index=False):
            shown.add_row(*map(escape, row))
        shown.add_section()
    for task, backend, status in table[["task", "backend", "status"]].itertuples(index=False):
        if status != "FINISHED":
            console.print(f"  {task} · {backend} is {status}: its last values count")
    console.print(shown)


if __name__ == "__main__":
    sys.exit(main())
