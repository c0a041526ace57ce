"""Carry out a search: its space is read and checked, then its trials are carried out as jobs."""

from collections.abc import Callable, Sequence

from harness.config.compose import Compose
from harness.search.checks import check_comparable, check_recorded
from harness.search.settings import Search
from harness.search.space import Parameter, check_sampler, space_of
from harness.search.study import agree, open_study, temporary_study
from harness.sweeps import sweep
from harness.sweeps.batches import Batches
from harness.sweeps.precheck import check_each
from harness.sweeps.swept_values import Swept, check_number, parse_sweep
from harness.sweeps.trial_batches import TrialBatches


def carry_out_search(
    words: Sequence[str], compose: Compose, launch: Callable[[Batches], object]
) -> None:
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
    launch(TrialBatches(swept, search, study, space, parsed.fixed))


def _check_jobs(search: Search, space: list[Parameter], parsed: Swept, compose: Compose) -> None:
    """Raise `ConfigError` for a value that no trial can use, or where none has the objectives."""
    if any("${" in word or word.startswith("resume") for word in parsed.fixed):
        return  # the overrides alone do not decide a job
    corners = [parameter.corners for parameter in space]
    check_each(corners, parsed.fixed, compose)
    config = compose([*parsed.fixed, *(words[0] for words in corners)])
    check_recorded(search, config)
    check_comparable(search, config, [parameter.name for parameter in space])
