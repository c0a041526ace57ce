"""Measure a candidate by steps on the run's own data, with a backend that is thrown away."""

import logging
import time

from backends import BackendFactory
from harness.core.errors import ConfigError, first_line
from harness.system import signals
from harness.training.kernel_choice.candidates import Candidate
from harness.training.kernel_choice.workload import Arrays, Workload
from harness.training.kernel_figures import Figures

log = logging.getLogger(__name__)

MOST_STEPS = 64  # of one call; those of a shorter epoch are the very program that the run compiles
CALL = 0.5  # estimated seconds of one call at most
ENOUGH = 0.3  # seconds of calls of which the fastest counts


def measure(
    work: Workload, candidate: Candidate, factory: BackendFactory, arrays: Arrays
) -> Figures | None:
    """Return the figures of a candidate, None for one that cannot train this network here."""
    try:
        start, step = _seconds(work, candidate, factory, arrays)
    except ConfigError:  # the backend refuses it
        return None
    except Exception as error:
        log.warning("kernel %s is left out, since it failed: %s", candidate, first_line(error))
        return None
    finally:
        signals.raise_if_stopped()  # a framework may have lost the exception
    return Figures(
        kernel=candidate.kernel, threads=candidate.threads, start_s=start, step_us=1e6 * step
    )


def _seconds(
    work: Workload, candidate: Candidate, factory: BackendFactory, arrays: Arrays
) -> tuple[float, float]:
    """Return the seconds of the start, without steps, and of a step."""
    count = max(1, min(MOST_STEPS, int(CALL / work.step_seconds)))
    batches, lr = arrays.batches[:count], arrays.lr[:count]
    began = time.perf_counter()
    backend = factory(work.model, work.training, arrays.data, arrays.start, candidate.execution)
    backend.train_epoch(batches, lr)
    first = time.perf_counter() - began
    calls: list[float] = []
    while not calls or sum(calls) < ENOUGH:
        signals.raise_if_stopped()
        began = time.perf_counter()
        backend.train_epoch(batches, lr)
        calls.append(time.perf_counter() - began)
    return max(0.0, first - min(calls)), min(calls) / len(batches)
