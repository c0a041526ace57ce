"""The search's part of a sweep's end. A study that is gone does not keep it from being closed."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.errors import ConfigError
from harness.core.file_names import SEARCH_PLOT
from harness.search.picture import draw_search
from harness.search.study import open_study
from harness.search.summary import trials_in
from harness.sweeps.sweep import Sweep
from harness.system.durable_files import write_file
from harness.tracking.job_outcomes import Job

if TYPE_CHECKING:
    from optuna import Study

log = logging.getLogger(__name__)


def study_of(sweep: Sweep) -> "Study | None":
    """Return the study of a sweep; None for a sweep that is no search, or has no study any more."""
    if sweep.search is None:
        return None
    try:
        return open_study(sweep.search)
    except ConfigError as error:
        log.warning("the search has no summary: %s", error)
        return None


def write_picture(sweep: Sweep, study: "Study", folder: Path) -> list[str]:
    """Draw the search into a report's folder; return the file's path, as seen from the sweep."""
    assert sweep.search is not None
    if not trials_in(study, "COMPLETE"):
        return []
    path = folder / SEARCH_PLOT
    write_file(path, partial(draw_search, study=study, search=sweep.search))
    return [str(path.relative_to(sweep.directory))]


def trials_begun(sweep: Sweep, study: "Study", outcomes: Sequence[Job]) -> int:
    """Return how many trials have begun: those of a grid may be jobs of other sweeps, too."""
    is_grid = sweep.search is not None and sweep.search.sampler == "grid"
    return len(study.trials) if is_grid else len(outcomes)
