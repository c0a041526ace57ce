"""Compare several backends on one problem: every stage of every pair, and the first difference."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from backends import BackendFactory
from harness.core.difference import Difference, compare
from harness.core.errors import ConfigError, first_line
from harness.parity.bands import ALL_STEPS, bands
from harness.parity.first_step import place_of
from harness.parity.place import Place
from harness.parity.problem import Problem
from harness.parity.stages import STAGES, StageTensors, Trace, memory, trace

Names = tuple[str, str]


class BackendFailed(RuntimeError):
    """An exception that a backend raised. The message is one line: the backend, how and where."""

    def __init__(self, backend: str, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        how = f"{type(error).__name__}: {first_line(error)}"
        super().__init__(
            f"{backend} broke: {how} ({Path(where.filename).name}, line {where.lineno})"
        )
        self.backend = backend


@dataclass(frozen=True, kw_only=True)
class Parity:
    """The result of a comparison.

    `differences` has the worst difference of each stage and pair, or the first beyond its limit;
    `first` is the first place of all that is beyond a limit.
    """

    differences: dict[tuple[str, Names], Difference]
    devices: dict[str, str]  # backend -> where it ran
    unjudged_from: int | None = None  # the first step, from 1, whose control band is too wide
    first: Place | None = None
    first_pair: Names | None = None

    @property
    def agrees(self) -> bool:
        """Whether no difference is beyond its limit."""
        return self.first is None

    @property
    def not_judged(self) -> list[str]:
        """The stages for which the control band is too wide to judge.

        Such as `losses from step 12 on`, `resumed`, or `resumed` and the names of its tensors.
        """
        stages = [] if self.unjudged_from is None else [f"losses from step {self.unjudged_from} on"]
        for (stage, _), difference in self.differences.items():
            if difference.left_out and stage != "losses":
                tensors = f": {', '.join(difference.left_out)}" if difference.judged else ""
                stages.append(stage + tensors)
        return list(dict.fromkeys(stages))

    @property
    def extent(self) -> str:
        """What an agreement covers: `every stage`, or those that could be judged."""
        all_judged = all(difference.judged for difference in self.differences.values())
        if all_judged and not self.not_judged:
            return "every stage"
        return "every stage that could be judged"


def check(
    problem: Problem,
    classes: Mapping[str, BackendFactory],
    say: Callable[[str], None] = lambda _: None,
) -> Parity:
    """Train all backends from the same state and compare each pair.

    `say` is called with what is being done. Raises `ConfigError` if no backend's losses stay
    finite, so that nothing can be compared, and `BackendFailed` if a backend raises an exception.
    """
    traces: dict[str, Trace] = {}
    for name, backend_class in classes.items():
        say(name)
        traces[name] = _traced(name, backend_class, problem)
    losses = [t.stages["losses"].get("losses", np.zeros(0)) for t in traces.values()]
    if not any(np.isfinite(values).all() for values in losses):
        raise ConfigError(
            "the loss of every backend stops being finite; parity needs numbers to compare: try a "
            "smaller optimizer.lr, or fewer --steps."
        )
    differences, limits = _judged(problem, traces, say)
    devices = {name: backend.device for name, backend in traces.items()}
    parity = Parity(differences=differences, devices=devices, unjudged_from=_unjudged_from(limits))
    failed = [(key, difference) for key, difference in differences.items() if difference.beyond]
    if not failed:
        return parity
    (_, names), difference = failed[0]
    say(f"looking for the place where {names[0]} and {names[1]} differ")
    pair = (classes[names[0]], classes[names[1]])
    place = place_of(difference, problem, pair, (traces[names[0]], traces[names[1]]), limits)
    return replace(parity, first=place, first_pair=names)


def _traced(name: str, backend_class: BackendFactory, problem: Problem) -> Trace:
    try:
        return trace(backend_class, problem)
    except ConfigError:  # its message says what the user can change
        raise
    except Exception as error:
        raise BackendFailed(name, error) from error


def _judged(
    problem: Problem, traces: Mapping[str, Trace], say: Callable[[str], None]
) -> tuple[dict[tuple[str, Names], Difference], StageTensors]:
    """Return all differences, and the control bands that were needed.

    A band is computed only where a difference is beyond the limit of the table: first the bands of
    the first step, then those of all steps, which take longer.
    """
    limits: StageTensors = {}
    differences = _differences(problem, traces, limits)
    for stages in (STAGES[: -len(ALL_STEPS)], ALL_STEPS):
        first = next((difference for difference in differences.values() if difference.beyond), None)
        if first is not None and first.stage in stages and first.index:
            say("control band")
            limits |= bands(problem, first.stage)
            differences = _differences(problem, traces, limits)
    return differences, limits


def _differences(
    problem: Problem, traces: Mapping[str, Trace], limits: StageTensors
) -> dict[tuple[str, Names], Difference]:
    return {
        (stage, pair): _difference(stage, pair, traces, problem, limits)
        for stage in STAGES
        for pair in combinations(traces, 2)
    }


def _difference(
    stage: str, pair: Names, traces: Mapping[str, Trace], problem: Problem, limits: StageTensors
) -> Difference:
    """Return the difference of two backends at one stage.

    Names are first compared with the network's: nothing is computed by a backend with wrong names,
    so two that have the same ones would agree.
    """
    precision = problem.training.precision
    network = {"names": problem.state.params, "optimiser slots": memory(problem.state)}
    expected, actual = (traces[name].stages[stage] for name in pair)
    if stage in network:
        for name, tensors in zip(pair, (expected, actual), strict=True):
            form = compare("names", network[stage], tensors, precision, {})
            if form.beyond and (tensors or stage == "names"):
                note = f"{name} against the network: {form.note}"
                return replace(form, stage=stage, note=note)
    return compare(stage, expected, actual, precision, limits.get(stage, {}))


def _unjudged_from(limits: StageTensors) -> int | None:
    """Return the first step, from 1, whose control band is infinite, or None."""
    band = limits.get("losses", {}).get("losses")
    if band is None or np.isfinite(band).all():
        return None
    return int(np.argmax(~np.isfinite(band).all(axis=1))) + 1
