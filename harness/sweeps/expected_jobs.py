"""What is known of a sweep's jobs before the first one begins: their cost, and what exists already.

Every job is prepared once for it, as when it runs, which takes some milliseconds.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.core.errors import ConfigError
from harness.runs.earlier_costs import Cost, earlier_costs
from harness.runs.run_key import finished_runs, run_key
from harness.sweeps.estimates import Estimate, estimate, from_runs
from harness.sweeps.grouping import sharing_key
from harness.sweeps.jobs import Job
from harness.sweeps.sweep import Sweep
from harness.tracking.journal import end_of, first
from harness.tracking.launched_jobs import launched_jobs
from harness.training.plan import prepare


@dataclass(frozen=True, kw_only=True)
class ExpectedJob:
    """A job that is to run, or has finished already in the folder `finished`."""

    job: Job
    sharing: Hashable  # equal for jobs that can share a program
    estimate: Estimate
    run_key: str | None = None
    finished: Path | None = None
    begun: Path | None = None  # where it was killed or has failed


def expected_jobs(jobs: Sequence[Job], swept: Sweep) -> list[ExpectedJob]:
    """Return what is known of jobs, in their order."""
    found = [_expected(job) for job in jobs]
    if swept.skips_finished:
        found = list(_finished_elsewhere(found, Path(swept.results)))
    if swept.resumes:
        found = list(_begun_before(found, swept))
    return list(_measured(found, Path(swept.results)))


def _measured(jobs: Sequence[ExpectedJob], results: Path) -> Iterator[ExpectedJob]:
    """Yield the jobs, estimated by earlier runs like them where there are any."""
    left = [each for each in jobs if each.finished is None and each.estimate.size.shape]
    replicas: Counter[Hashable] = Counter()
    for each in left:
        replicas[each.sharing] += each.estimate.size.replicas
    sizes = {replace(each.estimate.size, replicas=replicas[each.sharing]) for each in left}
    costs: dict[str, list[Cost]] = defaultdict(list)
    for cost in earlier_costs(results, sizes):
        costs[cost.size.shape].append(cost)
    for each in jobs:
        own, together = costs[each.estimate.size.shape], replicas[each.sharing]
        yield replace(each, estimate=from_runs(each.estimate, own, together)) if own else each


def _expected(job: Job) -> ExpectedJob:
    alone = ExpectedJob(job=job, sharing=("alone", job.number), estimate=Estimate())
    if job.resumes:
        return alone
    try:
        plan = prepare(job.config)
        return replace(
            alone, sharing=sharing_key(plan), estimate=estimate(plan), run_key=run_key(plan)
        )
    except Exception:  # reported when the job runs
        return alone


def _finished_elsewhere(jobs: Sequence[ExpectedJob], results: Path) -> Iterator[ExpectedJob]:
    runs = finished_runs(results)
    for each in jobs:
        yield replace(each, finished=runs.get(each.run_key or ""))


def _begun_before(jobs: Sequence[ExpectedJob], swept: Sweep) -> Iterator[ExpectedJob]:
    attempts = {attempt.number: attempt for attempt in launched_jobs(Path(swept.directory))}
    for each in jobs:
        attempt = attempts.get(each.job.number)
        folder = None if attempt is None else attempt.folder
        if attempt is not None and not attempt.reused:
            _check_same(each.job, attempt.folder, swept)
        end = None if folder is None else end_of(folder)
        if end is not None and (end["status"] == "FINISHED" or end.get("pruned")):
            yield replace(each, finished=folder)
        else:
            yield replace(each, job=replace(each.job, failed=folder), begun=folder)


def _check_same(job: Job, folder: Path, swept: Sweep) -> None:
    """Raise `ConfigError` where a sweep's words no longer make the job that began in `folder`."""
    begin, name = first(folder, ("start", "refused")), swept.job_name(job.overrides)
    if begin is not None and begin["name"] != name:
        raise ConfigError(
            f"sweep.resume: job {job.number} was {begin['name']} and would now be {name}, as where "
            "a sweep shuffles its values; such a sweep cannot go on."
        )
