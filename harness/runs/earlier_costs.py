"""The costs of earlier runs, from the last events of their journals."""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median

from harness.core.errors import ConfigError
from harness.runs.cost import Size, this_machine
from harness.tracking.journal import Event, end_of

MOST = 10_000  # runs that are looked at, the latest ones: 0.5 s
ENOUGH = 5  # runs of a shape, after which no others are looked for
# An update of so many replicas takes as long for each as one of more; one replica alone takes up to
# nine times as long as each of these, and two take up to three times as long (torch, 32 units).
MANY = 8
COMPARABLE = 4  # the factor by which numbers of replicas may differ; for seconds, up to MANY
MOST_BYTES = 1 << 60  # that a machine may have


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds of an update for each replica, on one core, and the peak of the process.

    The peak is in bytes, 0 where it is unknown.
    """

    size: Size
    seconds: float
    memory: int = 0


def earlier_costs(results: Path, sizes: Collection[Size]) -> list[Cost]:
    """Return costs of earlier runs of these shapes in `results`, the latest first.

    Those runs count that finished on this machine. No more are read than are needed.
    """
    missing: dict[str, set[Size]] = defaultdict(set)
    for size in sizes:
        missing[size.shape].add(size)
    found: list[Cost] = []
    alike: Counter[Size] = Counter()
    for folder in islice(_latest_first(results), MOST):
        if not any(missing.values()):
            break
        cost = _cost_in(folder)
        if cost is None or cost.size.shape not in missing:
            continue
        found.append(cost)
        for size in list(missing[cost.size.shape]):
            alike[size] += (
                cost.size.samples == size.samples and factor(cost.size.replicas, size.replicas) < 2
            )
            if alike[size] == ENOUGH:
                missing[size.shape].remove(size)
    return found


def measured_seconds(costs: Sequence[Cost], size: Size) -> list[float]:
    """Return seconds per update and replica of runs with the most similar number of replicas."""
    own = [cost for cost in costs if cost.size.shape == size.shape]
    factors = [factor(min(cost.size.replicas, MANY), min(size.replicas, MANY)) for cost in own]
    least = min(factors, default=math.inf)
    if least > COMPARABLE:
        return []
    nearest = [c.seconds for c, each in zip(own, factors, strict=True) if each == least]
    return nearest[:ENOUGH]


def measured_memory(costs: Sequence[Cost], size: Size) -> dict[int, float]:
    """Return the peak in bytes of a process, by the number of replicas that it trained together."""
    peaks: dict[int, list[int]] = defaultdict(list)
    for cost in costs:
        if cost.memory and (cost.size.shape, cost.size.samples) == (size.shape, size.samples):
            peaks[cost.size.replicas].append(cost.memory)
    return {replicas: median(found[:ENOUGH]) for replicas, found in peaks.items()}


def factor(ours: int, theirs: int) -> float:
    """Return by which factor two numbers of replicas differ."""
    return max(ours, theirs) / min(ours, theirs)


def _latest_first(results: Path) -> Iterator[Path]:
    """Yield the folders of runs and of sweeps' jobs; the names of runs and sweeps have the time."""
    tops = [*results.glob("runs/*"), *results.glob("multirun/*")]
    for top in sorted(tops, key=lambda path: path.name, reverse=True):
        yield top
        if top.parent.name == "multirun":
            yield from top.iterdir()


def _cost_in(folder: Path) -> Cost | None:
    """Return the cost of a run that finished on this machine, else None."""
    try:
        end = end_of(folder) or {}
        event = end.get("cost", {})
        if end.get("status") == "FINISHED" and {**event, **this_machine()} == event:
            return _cost_of(event)
    except (OSError, ConfigError, LookupError, TypeError, ArithmeticError):  # damaged or edited
        pass
    return None


def _cost_of(event: Event) -> Cost | None:
    """Return the cost that a journal has, None for one that cannot be.

    Older ones lack memory and threads.
    """
    replicas, memory = event["replicas"], event.get("memory")
    threads = event.get("threads", 1)
    seconds = event["seconds"] * threads / (event["updates"] * replicas)
    if not (0 < seconds < math.inf and replicas >= 1 and threads >= 1):
        return None
    samples = event.get("samples", 0)
    size = Size(shape=str(event["shape"]), samples=samples, replicas=replicas)
    if type(memory) is not int or not 0 < memory < MOST_BYTES:
        memory = 0
    return Cost(size=size, seconds=seconds, memory=memory)
