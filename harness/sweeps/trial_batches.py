"""The trials of a search as batches of jobs: asked of the study, trained, and told to it.

Batch k is asked when all batches up to k - `outstanding` have been told, and no later one. So the
sampler sees the same trials, whichever job ends first and wherever a search is stopped: those
batches with their results, and the ones in between as running, by their parameters alone.
"""

import logging
from collections import deque
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.tracking_store import without_secrets
from harness.core.errors import ConfigError
from harness.core.file_names import STUDY
from harness.search.settings import KEY, Search
from harness.search.space import Parameter
from harness.search.trials import (
    COMMAND,
    ERROR,
    RUN,
    ask,
    give_up_nameless,
    tell,
    trials_of,
    unfinished,
)
from harness.sweeps.batches import Batch
from harness.sweeps.sweep import Sweep
from harness.tracking.job_outcomes import Job, jobs
from harness.tracking.journalled_run import journalled_run
from harness.tracking.launched_jobs import launched_jobs

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)


class TrialBatches:
    """The trials of one sweep: jobs of its own numbers, with trials of the study behind them.

    What the study does not know the end of comes first, so a search that was stopped goes on where
    it was. See `harness.sweeps.batches.Batches`.
    """

    def __init__(
        self,
        swept: Sweep,
        search: Search,
        study: "Study",
        space: Sequence[Parameter],
        fixed: Sequence[str],
    ) -> None:
        self.swept, self.search, self.study = swept, search, study
        self.space, self.fixed = space, fixed
        self.directory, self.id = Path(swept.directory), swept.id
        self.size, self.outstanding = search.together(len(space)), search.outstanding
        self._number = self._first()  # of the job that is asked next
        self.total = max(0, swept.total - self._number)
        self._in_work: deque[Batch] = deque()

    def _first(self) -> int:
        """Return the number of the first job of which the study does not know the end."""
        if self.swept.resumes and not self.swept.is_dry_run:
            self._check_known()
        trials = trials_of(self.study, self.id)
        return min(unfinished(trials), default=len(trials))

    def _check_known(self) -> None:
        if self.search.storage == str(self.directory / STUDY):
            give_up_nameless(self.study)
        if launched_jobs(self.directory) and not trials_of(self.study, self.id):
            raise ConfigError(
                f"{KEY}.storage={without_secrets(self.search.storage or '')}: has no trial of this "
                "sweep, which has begun some; type the command where the search was begun."
            )

    def next(self, ended: Container[int]) -> Batch | None:
        """Tell the study of the oldest batch if all its jobs have ended; ask for another one."""
        while True:
            if len(self._in_work) < self.outstanding and (batch := self._asked()) is not None:
                self._in_work.append(batch)
                return batch
            if not self._in_work or not all(n in ended for n in self._in_work[0].numbers):
                return None
            self._tell(self._in_work.popleft())

    def _asked(self) -> Batch | None:
        """Ask for the trials of the next batch; None where there are no more."""
        number, overrides = self._number, list[list[str]]()
        for job in range(number, min(self.swept.total, (number // self.size + 1) * self.size)):
            words = ask(self.study, self.search, self.space, self.id, job)
            if words is None:  # other sweeps have taken the rest of a grid
                break
            overrides.append([*self.fixed, *words])
        if not overrides:
            return None
        self._number += len(overrides)
        log.info("trials %d to %d of %d", number, self._number - 1, self.swept.total)
        return Batch(number, overrides)

    def _tell(self, batch: Batch) -> None:
        """Tell the study how the jobs of a batch have ended, in the order of their numbers."""
        trials = unfinished(trials_of(self.study, self.id))
        for outcome in jobs(self.directory, numbers=batch.numbers):
            if outcome.number in trials:
                self._tell_one(trials[outcome.number], outcome)

    def _tell_one(self, trial: "FrozenTrial", outcome: Job) -> None:
        facts = {RUN: outcome.folder, COMMAND: outcome.command, ERROR: outcome.error}
        has_finished = outcome.status == "FINISHED"
        run = journalled_run(self.directory / outcome.folder) if has_finished else None
        values = [None if run is None else run.final(n) for n in self.search.objectives]
        missing = [n for n, v in zip(self.search.objectives, values, strict=True) if v is None]
        if run is not None and missing:
            facts[ERROR] = f"it recorded no {', '.join(missing)}"
        facts = {name: text for name, text in facts.items() if text}
        tell(self.study, trial, values, outcome.status == "PRUNED", facts)
