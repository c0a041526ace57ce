"""Work units: the jobs that one worker process carries out together, as plain data.

Jobs that can share a program are cut into as few units as keep all workers busy to the end, since a
program with more replicas is faster per replica, and each unit may have a program to compile.
"""

import heapq
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.sweeps.estimates import Estimate
from harness.sweeps.expected_jobs import ExpectedJob
from harness.sweeps.grouping import MAX_GROUP, MEMORY_SHARE
from harness.sweeps.jobs import Job
from harness.sweeps.memory_estimates import are_measured, bytes_together
from harness.sweeps.sweep import Sweep
from harness.system.physical_memory import physical_memory

PIECES = 4  # of a worker's share of all work that one unit has at least
SLACK = 1.05  # times faster that smaller units have to be


@dataclass(kw_only=True)
class Group:
    """Jobs that can share a program, and what is known of each."""

    jobs: list[Job] = field(default_factory=list[Job])
    estimates: list[Estimate] = field(default_factory=list[Estimate])

    def add(self, job: Job, expected: Estimate) -> None:
        """Add a job."""
        self.jobs.append(job)
        self.estimates.append(expected)

    @property
    def seconds(self) -> float:
        """Estimated seconds of all jobs on one core, start-up left out."""
        return sum(each.seconds for each in self.estimates)

    @property
    def bytes(self) -> float:
        """Estimated bytes of all jobs at once, besides those of their process."""
        return bytes_together(self.estimates)


@dataclass(frozen=True, kw_only=True)
class WorkUnit:
    """Jobs for one worker. A unit that is carried out twice does no harm: see `prepared_jobs`."""

    sweep: Sweep
    jobs: list[Job]
    seconds: float = 0.0  # estimated
    bytes: float = 0.0  # estimated, besides those of its process
    is_measured: bool = False  # whether the bytes come from earlier runs

    def singly(self) -> "list[WorkUnit]":
        """Return a unit for each of the jobs."""
        share = 1 / len(self.jobs)
        return [
            WorkUnit(
                sweep=self.sweep,
                jobs=[job],
                seconds=self.seconds * share,
                bytes=self.bytes * share,
            )
            for job in self.jobs
        ]


def groups(jobs: Sequence[ExpectedJob], workers: int = 1) -> list[Group]:
    """Return groups of the jobs that can share a program, ordered by their first jobs.

    A job that shares with no other, cannot be prepared, or resumes a run is a group by itself. A
    group needs no more than its share of the memory for each of `workers` processes.
    """
    found: dict[Hashable, Group] = {}
    parts: dict[Hashable, int] = {}  # number of the groups that are full
    room = MEMORY_SHARE * physical_memory() / workers
    for each in jobs:
        part = parts.setdefault(each.sharing, 0)
        group = found.setdefault((each.sharing, part), Group())
        more = bytes_together([*group.estimates, each.estimate])
        is_full = len(group.jobs) == MAX_GROUP or more > room
        if group.jobs and is_full:
            parts[each.sharing] = part + 1
            group = found.setdefault((each.sharing, part + 1), Group())
        group.add(each.job, each.estimate)
    return list(found.values())


def work_units(found: Sequence[Group], swept: Sweep, workers: int) -> list[WorkUnit]:
    """Cut groups into units, in the order in which they are to begin.

    For several workers the longest begin first, so that none runs alone for long at the end.
    """
    if workers == 1:
        return [_unit(swept, group) for group in found]
    shortest = sum(group.seconds for group in found) / workers
    best: list[WorkUnit] = []
    for pieces in range(1, PIECES + 1):
        units = [_unit(swept, part) for group in found for part in _cut(group, shortest / pieces)]
        units.sort(key=lambda unit: -unit.seconds)
        if not best or makespan(units, workers) * SLACK < makespan(best, workers):
            best = units
    return best


def _cut(group: Group, most: float) -> Iterator[Group]:
    """Cut a group into equal parts of at most `most` seconds each, as far as it has jobs."""
    count = min(len(group.jobs), max(1, round(group.seconds / most))) if most > 0 else 1
    for i in range(count):
        part = slice(i * len(group.jobs) // count, (i + 1) * len(group.jobs) // count)
        yield Group(jobs=group.jobs[part], estimates=group.estimates[part])


def _unit(swept: Sweep, group: Group) -> WorkUnit:
    return WorkUnit(
        sweep=swept,
        jobs=group.jobs,
        seconds=group.seconds,
        bytes=group.bytes,
        is_measured=are_measured(group.estimates),
    )


def makespan(units: Sequence[WorkUnit], workers: int) -> float:
    """Return after how many seconds the last of the workers is done, each taking the next unit."""
    busy = [0.0] * workers
    for unit in units:
        heapq.heappush(busy, heapq.heappop(busy) + unit.seconds)
    return max(busy)
