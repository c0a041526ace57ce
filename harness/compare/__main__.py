"""`harness compare`: the same training in several backends, side by side.

Runs that differ in nothing but the backend form a group. Within it the curves are compared: the
gap between two is the largest |a − b| / max(|a|, |b|) over all epochs of `train/loss` and
`val/loss`. A gap says how far apart two runs are, not whether that is more than rounding explains.
"""

import argparse
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.compare.arguments import parser
from harness.config.damaged_files import reading
from harness.config.tracking_store import database_of, experiment_in_environment, source_of
from harness.console import streams
from harness.console.command_line import counted, shell_word
from harness.console.terminal import console
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL, PREDICTIONS
from harness.reporting.comparison import (
    LINKED,
    LISTED,
    counted_runs,
    settings_table,
    side_by_side,
    summary_table,
    write_report,
)
from harness.reporting.groups import Group, group_runs
from harness.reporting.tables import formatted
from harness.runs.checksums import check_file
from harness.runs.folders import new_folder
from harness.runs.linked_runs import linked_runs
from harness.system import signals
from harness.tracking.mlflow_errors import explained, is_from_mlflow
from harness.tracking.mlflow_reader import TrackedRun, find_runs, latest_sweep
from harness.tracking.mlflow_store import client, tracking_uri


def _all_predictions(group: Group[TrackedRun], folder: Path) -> dict[str, pd.DataFrame]:
    """Return the predictions of the group's runs that have any, by backend."""
    tables = {
        name: _predictions(run, Path(tempfile.mkdtemp(dir=folder)))
        for name, run in group.runs.items()
    }
    return {name: table for name, table in tables.items() if table is not None}


def _predictions(run: TrackedRun, folder: Path) -> pd.DataFrame | None:
    """Return a run's predictions, or None if it has none.

    Damaged ones are left out, which is said on standard error: the other runs can be compared.
    """
    if JOURNAL in {file.path for file in run.mlflow.list_artifacts(run.run_id)}:
        run.mlflow.download_artifacts(run.run_id, JOURNAL, str(folder))  # it has the checksum
    try:
        with reading(folder / PREDICTIONS):
            table = run.predictions(folder)
            check_file(folder, PREDICTIONS)
            return table
    except ConfigError:
        print(f"{run.name} ({run.run_id}): its {PREDICTIONS} is damaged; left out", file=sys.stderr)
        return None


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        return _compare(_parse(arguments))
    except ConfigError as error:
        print(error, file=sys.stderr)
    except Exception as error:
        if not is_from_mlflow(error):
            raise
        print(f"MLflow does not answer this: {explained(error)}", file=sys.stderr)
    return 2


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    return parser().parse_args(arguments)


def _compare(options: argparse.Namespace) -> int:
    uri = tracking_uri(options.uri, options.results, "--uri")
    database = database_of(uri)
    if database is not None and not database.exists():
        raise ConfigError(
            f"--results {options.results}: there is no {uri}; run `harness task=sum` first, or "
            "name the folder of your runs."
        )
    mlflow = client(uri)
    parent, experiment = options.parent, options.experiment
    if parent is None and experiment is None:
        experiment = experiment_in_environment()
    if not (parent or options.experiment or options.filter):
        parent = latest_sweep(mlflow, experiment)
    runs = find_runs(mlflow, parent, experiment, options.filter)
    if parent:
        runs += linked_runs(mlflow, parent, options.experiment, options.filter, options.results)
    if not runs:
        raise ConfigError("no runs found: loosen --parent, --experiment or --filter.")
    groups = group_runs(runs)
    table, listed = summary_table(groups), settings_table(groups)
    folder = options.results / "reports" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    with tempfile.TemporaryDirectory() as fetched:
        predictions = {g.title: _all_predictions(g, Path(fetched)) for g in groups}
    shown = {title: side_by_side(tables) for title, tables in predictions.items() if tables}
    chosen = [f"sweep {parent}"] if parent else []
    chosen += [f"experiment {experiment}"] if experiment else []
    chosen += [f"where {options.filter}"] if options.filter else []
    source = f"{counted_runs(runs)} of {', '.join(chosen) or 'every experiment'} in {uri}"
    curves = {g.title: g.runs for g in groups}
    with new_folder(folder):
        write_report(folder, source, table, curves, shown, listed)
    _show(table, console())
    _show_settings(listed, console())
    found = f"{counted_runs(runs)} in {counted(len(groups), 'group')}"
    print(f"\n  {found} of {uri}{source_of(uri)}")
    print(f"  report   {shell_word(str(folder / 'report.html'))}")
    return 0


def _show(table: pd.DataFrame, console: Console) -> None:
    """Print the columns that fit a terminal; the report has all."""
    columns = ["task", "backend", "train loss", "val loss", "test loss", "parameters", "seconds"]
    rows: Any = formatted(table.loc[:, [*columns, "gap"]], digits=4)
    rows.loc[table["status"].str.endswith(LINKED), "backend"] += f" ({LINKED})"
    shown = Table(*columns, f"gap to {table['backend'].iloc[0]}")
    names = table["task"].unique().tolist()
    for group in names:
        for row in rows[rows["task"] == group].itertuples(index=False):
            shown.add_row(*map(escape, row))
        if len(rows) > len(names):  # some groups have several rows
            shown.add_section()
    for task, backend, status in table[["task", "backend", "status"]].itertuples(index=False):
        if not status.startswith("FINISHED"):
            console.print(f"  {task} · {backend} is {status}: its last values count")
    console.print(shown)


def _show_settings(listed: pd.DataFrame, console: Console) -> None:
    if len(listed):
        shown = Table(title=LISTED, title_justify="left")
        shown.add_column("group", no_wrap=True)
        shown.add_column("settings", overflow="fold")
        for row in listed.itertuples(index=False):
            shown.add_row(*map(escape, row))
        console.print(shown)


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
