"""The picture of a search: values of all trials in their order, and the parameters' importances.

With several objectives it shows the first two of each trial against each other, instead.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import DPI, figure, log_if_wide, whole_numbers
from harness.search.settings import Search
from harness.search.summary import importances, trials_in

if TYPE_CHECKING:
    from optuna import Study

FINISHED, PRUNED, BEST = "#4c72b0", "#b0b0b0", "#c44e52"
WIDEST = 30  # characters of a parameter's name beside its bar


@default_settings()
def draw_search(path: Path, study: "Study", search: Search) -> None:
    """Draw the picture of a search of which a trial has finished."""
    if len(search.objectives) > 1:
        drawing, axes = figure()
        _draw_front(axes[0, 0], study, search)
    else:
        weights = importances(study)
        drawing, axes = figure(columns=2 if weights else 1)
        _draw_history(axes[0, 0], study, search)
        if weights:
            _draw_importances(axes[0, 1], weights)
    drawing.suptitle(study.study_name)
    drawing.savefig(path, dpi=DPI, format="png")


def _draw_history(axis: Any, study: "Study", search: Search) -> None:
    """Draw each trial's value, a pruned one's last report, and the best so far."""
    finished, pruned = trials_in(study, "COMPLETE"), trials_in(study, "PRUNED")
    values = np.array([trial.values[0] for trial in finished])
    numbers = [trial.number for trial in finished]
    best = np.minimum if search.senses[0] == "minimize" else np.maximum
    reported = [(t.number, t.value) for t in pruned if t.value is not None]
    if reported:
        axis.plot(*zip(*reported, strict=True), "x", color=PRUNED, label="pruned, last report")
    axis.plot(numbers, values, "o", color=FINISHED, markersize=4, label="finished")
    axis.step(numbers, best.accumulate(values), where="post", color=BEST, label="best so far")
    log_if_wide(axis, [*values, *(value for _, value in reported)])
    whole_numbers(axis)
    axis.set(xlabel="trial", ylabel=search.objectives[0])
    _legend_above(axis)


def _draw_importances(axis: Any, weights: dict[str, float]) -> None:
    names = [name[-WIDEST:] for name in reversed(weights)]
    bars = axis.barh(names, list(weights.values())[::-1], color=FINISHED)
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.set(xlabel="importance (PED-ANOVA)", xlim=(0, 1.1))


def _legend_above(axis: Any) -> None:
    """Place the legend where no trial is."""
    axis.legend(fontsize=8, ncols=3, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))


def _draw_front(axis: Any, study: "Study", search: Search) -> None:
    finished, front = trials_in(study, "COMPLETE"), study.best_trials
    for trials, colour, label in ((finished, PRUNED, "finished"), (front, BEST, "Pareto front")):
        pairs = [trial.values[:2] for trial in trials]
        axis.plot(*zip(*pairs, strict=True), "o", color=colour, label=label)
    for which, objective in (("x", 0), ("y", 1)):
        log_if_wide(axis, [trial.values[objective] for trial in finished], which)
    axis.set(xlabel=search.objectives[0], ylabel=search.objectives[1])
    _legend_above(axis)
