"""Carry out a search: ask for a batch of trials, have it trained as jobs, tell how each ended.

What the study does not know the end of is carried out first, so a search that was stopped goes on
where it was; its jobs are found and gone on with like those of any sweep.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.compose import Compose
from harness.config.tracking_store import without_secrets
from harness.core.errors import ConfigError
from harness.core.file_names import STUDY
from harness.search.checks import check_comparable, check_recorded
from harness.search.settings import KEY, Search
from harness.search.space import Parameter, check_sampler, space_of
from harness.search.study import agree, open_study, temporary_study
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
from harness.sweeps import sweep
from harness.sweeps.precheck import check_each
from harness.sweeps.swept_values import Swept, check_number, parse_sweep
from harness.tracking.job_outcomes import jobs
from harness.tracking.journalled_run import journalled_run

if TYPE_CHECKING:
    from optuna import Study

log = logging.getLogger(__name__)

Launch = Callable[[list[list[str]], int], object]  # trains jobs with these overrides, from a number


def carry_out_search(words: Sequence[str], compose: Compose, launch: Launch) -> None:
    """Carry out the sweep of this process, a search over the space in `words`.

    `compose` checks the overrides of a job. Raises `ConfigError` before the first job.
    """
    swept = sweep.current()
    assert swept is not None
    search = swept.search
    assert search is not None
    parsed = parse_sweep(words)
    space = space_of(parsed.overrides)
    check_sampler(search.sampler, space)
    if search.sampler == "grid":
        check_number(parsed, words)
    _check_jobs(search, space, parsed, compose)
    study = temporary_study(search) if swept.is_dry_run else open_study(search)
    agree(study, search, space, parsed.fixed)
    _Trials(swept, search, study, space, parsed.fixed).carry_out(launch)


def _check_jobs(search: Search, space: list[Parameter], parsed: Swept, compose: Compose) -> None:
    """Raise `ConfigError` for a value that no trial can use, or where none has the objectives."""
    if any("${" in word or word.startswith("resume") for word in parsed.fixed):
        return  # the overrides alone do not decide a job
    corners = [parameter.corners for parameter in space]
    check_each(corners, parsed.fixed, compose)
    config = compose([*parsed.fixed, *(words[0] for words in corners)])
    check_recorded(search, config)
    check_comparable(search, config, [parameter.name for parameter in space])


class _Trials:
    """The trials of one sweep: jobs of its own numbers, with trials of the study behind them."""

    def __init__(
        self,
        swept: sweep.Sweep,
        search: Search,
        study: "Study",
        space: list[Parameter],
        fixed: list[str],
    ) -> None:
        self.swept, self.search, self.study = swept, search, study
        self.space, self.fixed = space, fixed
        self.directory, self.id = Path(swept.directory), swept.id

    def carry_out(self, launch: Launch) -> None:
        """Ask for batches until there are as many trials as were wanted."""
        number, size = self._next(), self.search.together(len(self.space))
        while number < self.swept.total:
            end = min(self.swept.total, (number // size + 1) * size)
            batch = self._asked(number, end)
            if not batch:  # other sweeps have taken the rest of a grid
                return
            last = number + len(batch) - 1
            log.info("trials %d to %d of %d", number, last, self.swept.total)
            launch(batch, number)
            if self.swept.is_dry_run:
                return
            self._tell()
            number += len(batch)

    def _next(self) -> int:
        """Return the number of the first job of which the study does not know the end."""
        if self.swept.resumes and not self.swept.is_dry_run:
            self._check_known()
        trials = trials_of(self.study, self.id)
        return min(unfinished(trials), default=len(trials))

    def _check_known(self) -> None:
        if self.search.storage == str(self.directory / STUDY):
            give_up_nameless(self.study)
        if jobs(self.directory) and not trials_of(self.study, self.id):
            raise ConfigError(
                f"{KEY}.storage={without_secrets(self.search.storage or '')}: has no trial of this "
                "sweep, which has begun some; type the command where the search was begun."
            )

    def _asked(self, number: int, end: int) -> list[list[str]]:
        """Return the overrides of the jobs from `number` on, before `end`."""
        batch: list[list[str]] = []
        for job in range(number, end):
            words = ask(self.study, self.search, self.space, self.id, job)
            if words is None:
                break
            batch.append([*self.fixed, *words])
        return batch

    def _tell(self) -> None:
        """Tell the study how all jobs have ended that it does not know the end of."""
        outcomes = {outcome.number: outcome for outcome in jobs(self.directory)}
        for job, trial in unfinished(trials_of(self.study, self.id)).items():
            outcome = outcomes.get(job)
            if outcome is None:  # it has not begun
                continue
            facts = {RUN: outcome.folder, COMMAND: outcome.command, ERROR: outcome.error}
            run = journalled_run(self.directory / outcome.folder) if outcome.folder else None
            if outcome.status != "FINISHED":
                run = None
            values = [None if run is None else run.final(n) for n in self.search.objectives]
            missing = [n for n, v in zip(self.search.objectives, values, strict=True) if v is None]
            if run is not None and missing:
                facts[ERROR] = f"it recorded no {', '.join(missing)}"
            facts = {name: text for name, text in facts.items() if text}
            tell(self.study, trial, values, outcome.status == "PRUNED", facts)
