"""Say before a sweep begins what it will do and about how long it takes; ask if that is long."""

import logging
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.markup import escape
from rich.table import Table

from harness.console.command_line import counted
from harness.console.terminal import console
from harness.core.errors import ConfigError
from harness.runs.folders import relative_to_cwd
from harness.runs.resume import checkpoint_names
from harness.sweeps.batches import Batches
from harness.sweeps.estimates import Demand, Estimate, seconds_in_one_process, seconds_in_workers
from harness.sweeps.expected_jobs import ExpectedJob
from harness.sweeps.memory_estimates import process_bytes
from harness.sweeps.sweep import Sweep
from harness.sweeps.units import WorkUnit

log = logging.getLogger(__name__)

LONG = 3600.0  # seconds, beyond which a terminal is asked first


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What a sweep is about to do: the jobs that begin first, and the workers that are there."""

    jobs: Sequence[ExpectedJob]
    units: Sequence[WorkUnit]
    workers: int
    demand: Demand  # of all jobs, those to come too
    cores: int  # that the workers share
    place: str  # where they are

    @property
    def coming(self) -> int:
        """The number of jobs that are not known yet."""
        return len(self.demand.jobs) - sum(each.finished is None for each in self.jobs)

    @property
    def seconds(self) -> float:
        """Estimated seconds until all is done."""
        jobs, threads = self.demand.jobs, self.demand.threads
        if self.workers > 1:
            return seconds_in_workers(jobs, self.workers, threads, self.cores)
        return seconds_in_one_process(jobs, threads, self.cores)

    @property
    def bytes(self) -> float:
        """Estimated bytes of all workers, each with one of the largest units."""
        units = sorted(unit.bytes for unit in self.units)[-self.workers :]
        return self.workers * process_bytes(self.demand.jobs) + sum(units)


def show_plan(plan: SweepPlan, swept: Sweep) -> None:
    """Print how many jobs there are, in how many units and workers, and how long they may take.

    A dry run prints every job. Raises `ConfigError` where the answer on a terminal is no.
    """
    seconds, in_all = plan.seconds, " in all" * (plan.coming > 0)
    line = f"{_line(plan)}; {_estimated(seconds, plan.demand.jobs)}{in_all}, {_memory(plan)}"
    if swept.is_dry_run:
        _show_jobs(plan.jobs, swept)
        print(line)
        return
    if len(plan.jobs) + plan.coming > 1:
        log.info("%s", line)
    if seconds > LONG and sys.stdin.isatty() and sys.stderr.isatty():
        answer = input(f"This takes roughly {_time(seconds)}. Begin? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            raise ConfigError("nothing was begun; sweep.dry_run=true shows the jobs.")


def show_idle_workers(swept: Sweep, batches: Batches, units: int, workers: int) -> None:
    """Say how many batches of a search would keep all workers busy, where `units` do not."""
    if swept.search is None or not swept.search.may_overlap or swept.resumes or units >= workers:
        return
    wanted = math.ceil(workers * batches.outstanding / max(units, 1))
    wanted = min(wanted, math.ceil(batches.total / batches.size))
    if wanted > batches.outstanding:
        words = f"{counted(units, 'unit')} at once, {workers - units} of {workers} workers idle"
        log.info("%s: hydra.sweeper.outstanding=%d fills them", words, wanted)


def _line(plan: SweepPlan) -> str:
    known = len(plan.jobs)
    finished = sum(each.finished is not None for each in plan.jobs)
    goes_on = sum(each.begun is not None for each in plan.jobs)
    begun = [f"{finished} finished before"] * (finished > 0) + [f"{goes_on} begun"] * (goes_on > 0)
    before = f" ({', '.join(begun)})" if begun else ""
    jobs = f"{known} of {known + plan.coming} jobs" if plan.coming else counted(known, "job")
    return f"{jobs}{before} in {counted(len(plan.units), 'unit')}, in {plan.place}"


def _estimated(seconds: float, estimates: Sequence[Estimate]) -> str:
    """Return the time, and how many earlier runs it comes from; it is rough without them."""
    runs = {each.size.shape: each.runs for each in estimates if each.runs}
    if not runs:
        return f"roughly {_time(seconds)}"
    source = f"from {counted(sum(runs.values()), 'earlier run')}"
    if all(each.runs for each in estimates):
        return f"about {_time(seconds)} ({source})"
    return f"roughly {_time(seconds)} (partly {source})"


def _memory(plan: SweepPlan) -> str:
    """Return the memory of all processes at once, and whether it comes from earlier runs."""
    known = [unit.is_measured for unit in plan.units]
    source = "estimated"
    if any(known):
        source = "measured" if all(known) else "partly measured"
    return f"{plan.bytes / 1e9:.1f} GB ({source})"


def _show_jobs(jobs: Sequence[ExpectedJob], swept: Sweep) -> None:
    table = Table("#", "job", "state", title="sweep, dry run", title_justify="left")
    for each in jobs:
        if each.finished is not None:
            state = f"finished: {relative_to_cwd(each.finished)}"
        elif each.begun is not None:
            how = "goes on from" if checkpoint_names(each.begun) else "begins anew, after"
            state = f"{how} {relative_to_cwd(each.begun)}"
        else:
            state = "new"
        name = swept.job_name(each.job.overrides)
        table.add_row(str(each.job.number), escape(name), escape(state))
    console().print(table)


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
