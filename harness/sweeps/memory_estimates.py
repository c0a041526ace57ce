"""Estimate the memory of jobs that train together, to decide how many processes fit.

Earlier runs say how much a process took. Where there are none like these, a formula gives a lower
bound, which may be a fifth of it.
"""

from collections.abc import Sequence

from harness.runs.earlier_costs import COMPARABLE, factor
from harness.sweeps.estimates import Estimate

# Bytes of a process before it has data.
PROCESS = {"numpy": 161e6, "torch": 357e6, "jax": 348e6, "keras": 862e6}


def process_bytes(jobs: Sequence[Estimate]) -> float:
    """Return the bytes of a process for any of the jobs, before it has data."""
    return max((PROCESS.get(job.backend, PROCESS["keras"]) for job in jobs), default=0.0)


def bytes_together(jobs: Sequence[Estimate]) -> float:
    """Return the bytes of jobs that share a program, besides those of their process."""
    measured = _measured(jobs)
    return sum(job.bytes for job in jobs) if measured is None else measured


def are_measured(jobs: Sequence[Estimate]) -> bool:
    """Return whether the bytes of jobs that share a program come from earlier runs."""
    return _measured(jobs) is not None


def _measured(jobs: Sequence[Estimate]) -> float | None:
    """Return the bytes by the earlier runs with the most similar number of replicas, if any.

    A smaller program takes no more than a larger one, and a larger one at most as many times as
    much as it has times as many replicas: part of the memory, such as the states of the chunk that
    is computed, does not grow with their number.
    """
    peaks, replicas = jobs[0].peaks, sum(job.size.replicas for job in jobs)
    nearest = min(peaks, key=lambda known: factor(known, replicas), default=0)
    if not nearest or factor(nearest, replicas) > COMPARABLE:
        return None
    return max(0.0, peaks[nearest] - process_bytes(jobs)) * max(1.0, replicas / nearest)
