"""The jobs of a sweep side by side: numbers, a summary and a report for the sweep's own record."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from harness.config.damaged_files import reading
from harness.console.command_line import counted
from harness.core.errors import ConfigError
from harness.core.file_names import PREDICTIONS, REPORT
from harness.reporting.groups import ORDER, Group, group_runs
from harness.runs.checksums import check_file
from harness.runs.folders import cannot_write, first_free, new_folder
from harness.tracking.journalled_run import JournalledRun, journalled_run
from harness.tracking.launched_jobs import launched_jobs

if TYPE_CHECKING:
    import pandas as pd

    from harness.reporting.sections import Section

Groups: TypeAlias = list[Group[JournalledRun]]

log = logging.getLogger(__name__)

DRAWN = 4  # groups in the picture; each takes 0.2 s
TASKS = 5  # whose best jobs the summary names


def finished_groups(sweep: Path) -> Groups:
    """Return the finished jobs of a sweep, sorted into groups, those with the lowest loss first."""
    found = ((job, journalled_run(job.folder)) for job in launched_jobs(sweep))
    groups = group_runs(
        replace(run, is_linked=job.reused)
        for job, run in found
        if run is not None and run.status == "FINISHED"
    )
    return sorted(groups, key=_lowest)


def gap_between_backends(groups: Groups) -> float | None:
    """Return the largest gap within a group, as `harness compare` has it.

    None where no two backends trained the same, or without any loss.
    """
    from harness.reporting.comparison import largest_gap  # imports pandas

    gaps = [largest_gap(group.runs.values()) for group in groups if len(group.runs) > 1]
    return max((gap for gap in gaps if not np.isnan(gap)), default=None)


def summary(groups: Groups, gap: float | None, unfinished: int) -> str:
    """Return in one line how far apart the backends are, which job is best and by how much."""
    parts: list[str] = []
    if gap is not None:
        compared = {name for group in groups if len(group.runs) > 1 for name in group.runs}
        names = sorted(compared, key=lambda n: (ORDER.index(n) if n in ORDER else 99, n))
        parts.append(_agreement(f"{', '.join(names[:-1])} and {names[-1]}", gap))
    tasks: dict[str, Groups] = {}
    for group in groups:
        tasks.setdefault(next(iter(group.runs.values())).tags.get("task", "?"), []).append(group)
    for task, ranked in list(tasks.items())[:TASKS]:
        parts += _best(ranked, f"best for {task}" if len(tasks) > 1 else "best")
    if len(tasks) > TASKS:
        parts.append(f"and {len(tasks) - TASKS} more tasks")
    if unfinished:
        parts.append(f"{counted(unfinished, 'job')} did not finish")
    return "; ".join(parts)


def write_report(sweep: Path, groups: Groups, section: "Section | None" = None) -> list[str]:
    """Write the report of `harness compare`; return its files' paths in the sweep's folder.

    It begins with `section`, which a search has.
    The table has every finished job; curves are those of `DRAWN` groups, predictions those of one.
    A report that cannot be written is none: the log says why.
    """
    from harness.reporting import comparison

    folder = first_free(sweep / REPORT)  # a sweep that goes on has another
    drawn = {group.title: group.runs for group in groups[:DRAWN]}
    predictions = {group.title: _predictions(group) for group in groups[:1]}
    shown = {t: comparison.side_by_side(by) for t, by in predictions.items() if by}
    runs = [run for group in groups for run in group.runs.values()]
    source = f"{comparison.counted_runs(runs, 'finished run')} of the sweep {sweep.name}"
    if len(groups) > len(drawn):
        source += f"; curves of the best {len(drawn)} of {len(groups)}"
    if len(groups) > 1:
        source += "; predictions of the best"
    table, listed = comparison.summary_table(groups), comparison.settings_table(groups)
    try:
        with new_folder(folder):
            comparison.write_report(folder, source, table, drawn, shown, listed, section)
    except (ConfigError, OSError) as error:
        reason = cannot_write(error) if isinstance(error, OSError) else error
        log.warning("the sweep has no report: %s", reason)
        return []
    names = sorted(path.name for path in folder.iterdir())
    return [f"{folder.name}/{name}" for name in names]


def _predictions(group: Group[JournalledRun]) -> "dict[str, pd.DataFrame]":
    import pandas as pd

    tables: dict[str, pd.DataFrame] = {}
    for name, run in group.runs.items():
        path = run.directory / PREDICTIONS
        try:
            with reading(path):
                tables[name] = pd.read_csv(path)
                check_file(run.directory, PREDICTIONS)
        except ConfigError as error:
            log.warning("the sweep's report leaves them out: %s", error)
    return tables


def _agreement(names: str, gap: float) -> str:
    if np.isinf(gap):
        return f"{names} differ in which losses are finite"
    return f"{names} agree to {gap:.2g}" if gap else f"{names} agree in every digit"


def _lowest(group: Group[JournalledRun]) -> float:
    """Return the lowest finite loss of a group, or infinity."""
    return min(_finite_losses(group.runs.values()), default=float("inf"))


def _finite_losses(runs: Iterable[JournalledRun]) -> list[float]:
    return [run.loss[1] for run in runs if run.loss is not None and np.isfinite(run.loss[1])]


def _best(ranked: Sequence[Group[JournalledRun]], word: str) -> list[str]:
    """Return which of a task's groups is best; nothing if none has a finite loss."""
    losses = [_lowest(group) for group in ranked]
    run = next(iter(ranked[0].runs.values()))
    if not np.isfinite(losses[0]) or run.loss is None:
        return []
    loss = f"{run.loss[0]} {losses[0]:.3g}"
    settings = "·".join(word for word in run.name.split("·") if word != run.tags.get("backend"))
    if not settings or len(ranked) == 1:
        return [loss if word == "best" else f"{word}: {loss}"]
    lead = _lead(losses[0], losses[1]) if np.isfinite(losses[1]) else ""
    return [f"{word}: {settings} with {loss}{lead}"]


def _lead(best: float, second: float) -> str:
    if best == second:
        return ", as low as the next"
    if best <= 0:
        return ""
    ratio = second / best
    if ratio < 1.5:
        return f", {100 * (1 - best / second):.2g} % lower than the next"
    return f", {ratio:.{1 if ratio < 10 else 0}f} times lower than the next"
