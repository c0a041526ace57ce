"""Say before a sweep begins what it will do and about how long it takes; ask if that is long."""

import logging
import math
import sys
from collections.abc import Sequence

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


def show_plan(
    jobs: Sequence[ExpectedJob],
    units: Sequence[WorkUnit],
    workers: int,
    demand: Demand,
    cores: int,
    swept: Sweep,
    place: str,
) -> None:
    """Print how many jobs there are, in how many units and workers, and how long they may take.

    `jobs` and `units` are those that begin first, `demand` is that of all. `workers` share `cores`,
    and `place` says where they are. A dry run prints every job. Raises `ConfigError` where the
    answer on a terminal is no.
    """
    estimates, threads = demand.jobs, demand.threads
    seconds = seconds_in_one_process(estimates, threads, cores)
    if workers > 1:
        seconds = seconds_in_workers(estimates, workers, threads, cores)
    memory = workers * process_bytes(estimates)
    memory += sum(sorted(unit.bytes for unit in units)[-workers:])
    coming = len(estimates) - sum(each.finished is None for each in jobs)
    line = _line(jobs, coming, units, place)
    line += f"; {_estimated(seconds, estimates)}{' in all' * (coming > 0)}"
    line += f", {_memory(memory, units)}"
    if swept.is_dry_run:
        _show_jobs(jobs, swept)
        print(line)
        return
    if len(jobs) + coming > 1:
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


def _line(jobs: Sequence[ExpectedJob], coming: int, units: Sequence[WorkUnit], place: str) -> str:
    finished = sum(each.finished is not None for each in jobs)
    goes_on = sum(each.begun is not None for each in jobs)
    begun = [f"{finished} finished before"] * (finished > 0) + [f"{goes_on} begun"] * (goes_on > 0)
    known = f" ({', '.join(begun)})" if begun else ""
    number = f"{len(jobs)} of {len(jobs) + coming} jobs" if coming else counted(len(jobs), "job")
    return f"{number}{known} in {counted(len(units), 'unit')}, in {place}"


def _estimated(seconds: float, estimates: Sequence[Estimate]) -> str:
    """Return the time, and how many earlier runs it comes from; it is rough without them."""
    runs = {each.size.shape: each.runs for each in estimates if each.runs}
    if not runs:
        return f"roughly {_time(seconds)}"
    source = f"from {counted(sum(runs.values()), 'earlier run')}"
    if all(each.runs for each in estimates):
        return f"about {_time(seconds)} ({source})"
    return f"roughly {_time(seconds)} (partly {source})"


def _memory(memory: float, units: Sequence[WorkUnit]) -> str:
    """Return the memory of all processes at once, and whether it comes from earlier runs."""
    known = [unit.is_measured for unit in units]
    source = "estimated"
    if any(known):
        source = "measured" if all(known) else "partly measured"
    return f"{memory / 1e9:.1f} GB ({source})"


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
