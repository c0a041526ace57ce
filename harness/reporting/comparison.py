"""The report of a comparison: Markdown, CSV, and one HTML file that needs no other file.

Runs that differ in nothing but the backend form a group; see `harness.reporting.groups`.
"""

import html
import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from harness.console.command_line import counted
from harness.core.file_names import PREDICTIONS
from harness.reporting import plots
from harness.reporting.gap import gap
from harness.reporting.groups import ComparedRun, Group
from harness.reporting.html_style import STYLE
from harness.reporting.sections import Section, html_parts, markdown_parts, picture_in
from harness.reporting.tables import formatted, markdown_table
from harness.system.durable_files import Content, write_files

INDEX = ["split", "replica", "sample", "time_step", "output"]
SHOWN = 6  # rows of predictions per task in the report; the CSV has all

LINKED = "linked"  # added to the status of a run that the sweep did not train
LISTED = "The usual settings, and what each group has otherwise"
EXPLAINED = (
    "Losses are in original units. The gap is the largest relative difference of a run's loss "
    "curves (train and validation, every epoch) to those of the first backend of its task, the "
    "largest gap that between any two. Seconds are spent in training steps alone."
)


def summary_table(groups: Sequence[Group[Any]]) -> pd.DataFrame:
    """Return a table with one row per group and backend.

    `gap` is to the group's first backend, `largest gap` is between any two of the group. Where a
    sweep links to runs, the status of these says so.
    """
    rows = []
    for group in groups:
        largest = largest_gap(group.runs.values())
        for name, run in group.runs.items():
            metric = run.final
            rows.append(
                {
                    "task": group.title,
                    "backend": name,
                    "status": f"{run.status}, {LINKED}" if run.is_linked else run.status,
                    "train loss": metric("train/loss"),
                    "val loss": metric("val/loss"),
                    "test loss": metric("test/loss"),
                    "parameters": int(metric("params/total") or 0),
                    "seconds": metric("time/train_s"),
                    "µs per step": metric("time/per_step_us"),
                    "gap": gap(group.runs[group.reference].curves, run.curves),
                    "largest gap": largest,
                }
            )
    return pd.DataFrame(rows)


def counted_runs(runs: Iterable[ComparedRun], name: str = "run") -> str:
    """Return how many runs there are, and how many of them a sweep links to."""
    linked = [run.is_linked for run in runs]
    return counted(len(linked), name) + (f" ({sum(linked)} {LINKED})" if any(linked) else "")


def settings_table(groups: Sequence[Group[Any]]) -> pd.DataFrame:
    """Return the settings of numbered groups: first the usual ones, then each group's own.

    Groups whose title names their settings have no row.
    """
    rows: dict[str, str] = {}
    for group in groups:
        if group.usual:
            rows.setdefault(f"{group.title.rpartition(' ')[0]} (usual)", group.usual)
            rows[group.title] = group.settings
    return pd.DataFrame(rows.items(), columns=["group", "settings"])


def largest_gap(runs: Iterable[ComparedRun]) -> float:
    """Return the largest gap between any two of the runs; NaN for fewer than two."""
    pairs = itertools.combinations(runs, 2)
    return max((gap(a.curves, b.curves) for a, b in pairs), default=float("nan"))


def side_by_side(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join the predictions of a group's runs, by backend, each with the columns of a run's CSV.

    Columns are `split`, `replica`, `sample`, `time_step`, `output`, `true`, and one per backend.
    """
    by_place = {name: table.set_index(INDEX) for name, table in tables.items()}
    columns: dict[str, Any] = {"true": next(iter(by_place.values()))["true"]}
    columns |= {name: table["predicted"] for name, table in by_place.items()}
    return pd.DataFrame(columns).reset_index()


def write_report(
    folder: Path,
    source: str,
    table: pd.DataFrame,
    groups: Mapping[str, Mapping[str, ComparedRun]],
    predictions: dict[str, pd.DataFrame],
    listed: pd.DataFrame,
    section: Section | None = None,
) -> None:
    """Write `report.md`, `report.html`, `table.csv`, `predictions.csv` and `curves.png`.

    `source` says in words which runs these are. `listed` has the settings of numbered groups, which
    `groups.csv` has, too. `section` comes before all others.
    """
    files: dict[str, Content] = {"table.csv": partial(table.to_csv, index=False)}
    if len(listed):
        files["groups.csv"] = partial(listed.to_csv, index=False)
    all_rows = [rows.assign(task=title) for title, rows in predictions.items()]
    if all_rows:
        joined = pd.concat(all_rows, ignore_index=True)
        joined.insert(0, "task", joined.pop("task"))
        files[PREDICTIONS] = partial(joined.to_csv, index=False)
    curves = {t: {name: run.curves for name, run in runs.items()} for t, runs in groups.items()}
    trained = {title: by for title, by in curves.items() if any(len(c) for c in by.values())}
    files["curves.png"] = partial(plots.draw_overlaid, groups=trained)
    if section is not None:
        files[section.picture] = section.draw
    write_files({folder / name: content for name, content in files.items()})
    shown = {title: examples(rows) for title, rows in predictions.items()}
    title = "Backends compared" if section is None else section.title
    begin = [f"# {title}", source, *markdown_parts(section)]
    text = _markdown(begin, table, shown, listed)
    begin = [*_head(title), f"<p>{html.escape(source)}</p>", *html_parts(section, folder)]
    picture = picture_in(folder / "curves.png", "loss curves of every backend")
    page = _html(begin, table, shown, picture, listed)
    write_files({folder / "report.md": text, folder / "report.html": page})


def examples(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return `SHOWN` rows: of the probes if there are any, or else of the test split."""
    for name in ("probe", "test", "val", "train"):
        rows = predictions.loc[predictions["split"] == name].head(SHOWN)
        if len(rows):
            return rows
    return predictions.head(0)


def _markdown(
    begin: list[str], table: pd.DataFrame, shown: dict[str, pd.DataFrame], listed: pd.DataFrame
) -> str:
    parts = [*begin, markdown_table(table), EXPLAINED]
    parts += [f"## {LISTED}", markdown_table(listed)] if len(listed) else []
    parts += ["## Loss curves", "![loss curves](curves.png)", "## Predictions"]
    for title, rows in shown.items():
        parts += [f"### {title}", markdown_table(rows)]
    return "\n\n".join(parts) + "\n"


def _head(title: str) -> list[str]:
    return [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(title)}</title>",
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>",
    ]


def _html(
    begin: list[str],
    table: pd.DataFrame,
    shown: dict[str, pd.DataFrame],
    picture: str,
    listed: pd.DataFrame,
) -> str:
    parts = [
        *begin,
        f"<div>{formatted(table).to_html(index=False, border=0)}</div>",
        f"<p>{html.escape(EXPLAINED)}</p>",
        *_listed(listed),
        "<h2>Loss curves</h2>",
        picture,
        "<h2>Predictions</h2>",
    ]
    for title, rows in shown.items():
        parts.append(f"<h3>{html.escape(title)}</h3>")
        parts.append(formatted(rows).to_html(index=False, border=0))
    return "\n".join(parts) + "</html>\n"


def _listed(listed: pd.DataFrame) -> list[str]:
    """Return the groups' settings as HTML whose lines may break, since there may be many."""
    if listed.empty:
        return []
    return [f"<h2>{LISTED}</h2>", listed.to_html(index=False, border=0, classes="long")]
