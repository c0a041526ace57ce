"""Measure a candidate by steps on the run's own data, with a backend that is thrown away."""

import logging
import time

from backends import Backend, BackendFactory
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
    """Return the seconds of the start, without steps, and of a step.

    Where an epoch is one program, all calls are of that program. Elsewhere a single step says how
    many of them a call may have.
    """
    most, is_call = _most_steps(work, arrays), work.config.backend.epoch_is_a_call
    first = most if is_call else 1
    began = time.perf_counter()
    backend = factory(work.model, work.training, arrays.data, arrays.start, candidate.execution)
    _call(backend, arrays, first)
    start = time.perf_counter() - began
    count = most if is_call else max(1, min(most, int(ENOUGH / _call(backend, arrays, 1))))
    calls: list[float] = []
    while not calls or sum(calls) < ENOUGH:
        calls.append(_call(backend, arrays, count))
    step = min(calls) / count
    return max(0.0, start - first * step), step


def _most_steps(work: Workload, arrays: Arrays) -> int:
    """Return the steps of a call at most: all of an epoch's, if they are few and short."""
    return max(1, min(MOST_STEPS, len(arrays.lr), int(CALL / work.step_seconds)))


def _call(backend: Backend, arrays: Arrays, count: int) -> float:
    """Return the seconds of `count` steps."""
    signals.raise_if_stopped()
    began = time.perf_counter()
    backend.train_epoch(arrays.batches[:count], arrays.lr[:count])
    return time.perf_counter() - began
