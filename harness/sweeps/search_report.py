"""The search's part of a sweep's end. A study that is gone does not keep it from being closed."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.core.errors import ConfigError
from harness.search.study import open_study
from harness.search.summary import trials_in
from harness.sweeps.comparison import Groups
from harness.sweeps.sweep import Sweep
from harness.tracking.job_outcomes import Job

if TYPE_CHECKING:
    from optuna import Study

    from harness.reporting.sections import Section

log = logging.getLogger(__name__)

NUMBER = "trial.number"  # tag of a run


def study_of(sweep: Sweep) -> "Study | None":
    """Return the study of a sweep; None for a sweep that is no search, or has no study any more."""
    if sweep.search is None:
        return None
    try:
        return open_study(sweep.search)
    except ConfigError as error:
        log.warning("the search has no summary: %s", error)
        return None


def section_of(sweep: Sweep, study: "Study | None", groups: Groups) -> "Section | None":
    """Return the search's section of the sweep's report; None where no trial has finished."""
    if study is None or sweep.search is None or not trials_in(study, "COMPLETE"):
        return None
    from harness.search.section import search_section  # imports pandas

    titles = {
        int(run.tags[NUMBER]): group.title
        for group in groups
        for run in group.runs.values()
        if group.usual and NUMBER in run.tags
    }
    return search_section(study, sweep.search, titles)


def trials_begun(sweep: Sweep, study: "Study", outcomes: Sequence[Job]) -> int:
    """Return how many trials have begun: those of a grid may be jobs of other sweeps, too."""
    is_grid = sweep.search is not None and sweep.search.sampler == "grid"
    return len(study.trials) if is_grid else len(outcomes)
