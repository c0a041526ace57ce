"""The section of a report about a search: its picture, its best trials, its importances."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from harness.core.file_names import SEARCH_PLOT
from harness.reporting.sections import Section
from harness.search.picture import draw_search
from harness.search.settings import Search
from harness.search.summary import best_trial, headline, importances, trials_in
from harness.search.trials import COMMAND

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

SHOWN = 10  # trials of the table


def search_section(study: "Study", search: Search, groups: Mapping[int, str]) -> Section:
    """Return the section of a search of which a trial has finished.

    `groups` has the titles of numbered groups by the numbers of the trials that are in them.
    """
    best = None if len(search.objectives) > 1 else best_trial(study)
    weights = importances(study).items()
    tables = {_title(search): _trials(_ranked(study, search)[:SHOWN], search, groups)}
    if weights:
        rows = [(name, f"{weight:.2f}") for name, weight in weights]
        tables["Importance"] = pd.DataFrame(rows, columns=["parameter", "PED-ANOVA"])
    return Section(
        title="Search",
        text=headline(study, search),
        commands=[] if best is None else [best.user_attrs.get(COMMAND, "")],
        tables=tables,
        picture=SEARCH_PLOT,
        draw=partial(draw_search, study=study, search=search),
    )


def _title(search: Search) -> str:
    return "Pareto front" if len(search.objectives) > 1 else "Best trials"


def _ranked(study: "Study", search: Search) -> "list[FrozenTrial]":
    """Return finished trials, the best first; with several objectives, those of the front."""
    if len(search.objectives) > 1:
        return sorted(study.best_trials, key=lambda trial: trial.values)
    sign = 1 if search.senses[0] == "minimize" else -1
    return sorted(trials_in(study, "COMPLETE"), key=lambda trial: sign * trial.values[0])


def _trials(
    trials: "Sequence[FrozenTrial]", search: Search, groups: Mapping[int, str]
) -> pd.DataFrame:
    rows = [
        {"trial": trial.number}
        | ({"runs": groups.get(trial.number, "")} if groups else {})
        | dict(zip(search.objectives, trial.values, strict=True))
        | trial.params
        for trial in trials
    ]
    return pd.DataFrame(rows)
