"""Choose the kernel and the threads of a run by what is known of the candidates.

A candidate takes its start and its updates; the least sum wins. Short runs measure nothing: they go
by figures that are kept, and without any by the backend's own rule.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backends import BackendFactory, Execution
from harness.system.processor import own_cores
from harness.training.kernel_choice.candidates import Candidate, candidates
from harness.training.kernel_choice.kept_figures import KeptFigures
from harness.training.kernel_choice.measuring import measure
from harness.training.kernel_choice.workload import Workload, workload_of
from harness.training.kernel_figures import Figures
from harness.training.plan import Plan

log = logging.getLogger(__name__)

FOLDER = "cache/kernels"  # in the results
WORTH_MEASURING = 10.0  # seconds that a run takes at least
THREADS_GAIN = 1.1  # by which several threads must be faster, since they keep more cores busy
SHARE = 5  # a start may take no more than 1/5 of the run in the best kernel so far

Measured = dict[Candidate, Figures]


def planned(plan: Plan, factory: BackendFactory, results: Path) -> Plan:
    """Return the plan with its kernel and its threads chosen.

    It stays as it is where they are given or follow a rule. `factory` constructs the backends, and
    `results` is the folder in which figures are kept. Raises `Killed` for a stop.
    """
    execution, figures = chosen(workload_of(plan), factory, results)
    return replace(plan, execution=execution, figures=figures)


def chosen(
    work: Workload, factory: BackendFactory, results: Path
) -> tuple[Execution, tuple[Figures, ...]]:
    """Return where a workload is trained, and what was measured; see `planned`."""
    execution = work.execution
    if work.config.trainer.deterministic or not execution.updates:
        return execution, ()
    is_long = execution.updates * work.step_seconds >= WORTH_MEASURING
    pooled = work
    if work.pays_for_a_pool:
        pooled = replace(work, execution=replace(execution, threads=own_cores()))
    unmeasured = pooled if is_long else work
    if execution.kernel != "auto":
        return unmeasured.execution, ()
    kept = KeptFigures(results / FOLDER, work.shape())
    options = candidates(pooled)
    known = _known(options, kept)
    if is_long and len(options) > 1:
        known |= _measured(pooled, options, known, factory, kept)
    if not known:
        return unmeasured.execution, ()
    return _best(known, execution.updates).execution, tuple(known.values())


def _best(known: Measured, updates: int) -> Candidate:
    """Return the candidate with the least seconds; more threads must save a good part of them."""

    def seconds(each: Candidate) -> float:
        return known[each].seconds(updates) * (THREADS_GAIN if each.threads > 1 else 1)

    return min(known, key=seconds)


def _known(options: Sequence[Candidate], kept: KeptFigures) -> Measured:
    found = {each: kept.read(each.kernel, each.threads) for each in options}
    return {each: figures for each, figures in found.items() if figures is not None}


def _measured(
    work: Workload,
    options: Sequence[Candidate],
    known: Measured,
    factory: BackendFactory,
    kept: KeptFigures,
) -> Measured:
    """Measure the candidates that are not known and not too dear, and keep their figures."""
    found, arrays = dict(known), None
    for each in options:
        best = min((f.seconds(work.execution.updates) for f in found.values()), default=None)
        if each in known or (best is not None and SHARE * each.start > best):
            continue
        if arrays is None:
            names = ", ".join(dict.fromkeys(other.kernel for other in options))
            log.info("backend.kernel=auto: measures which is fastest of %s", names)
            arrays = work.arrays()
        figures = measure(work, each, factory, arrays)
        if figures is not None:
            found[each] = kept.keep(figures)
    return found
