"""Several backends on one problem: every stage of every pair, and the first place that differs."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from harness.core.errors import ConfigError, first_line
from harness.parity.bands import ALL_STEPS, bands
from harness.parity.difference import Difference, compare
from harness.parity.first_step import place_of
from harness.parity.locate import Place
from harness.parity.problem import BackendClass, Problem
from harness.parity.stages import STAGES, Found, Trace, memory, trace

Names = tuple[str, str]


class Broke(RuntimeError):
    """A backend raised an exception. The message is one line: which one, how and where."""

    def __init__(self, backend: str, error: Exception) -> None:
        where = traceback.extract_tb(error.__traceback__)[-1]
        how = f"{type(error).__name__}: {first_line(error)}"
        super().__init__(
            f"{backend} broke: {how} ({Path(where.filename).name}, line {where.lineno})"
        )
        self.backend = backend


@dataclass(frozen=True)
class Parity:
    """What was found: the worst difference (or the first beyond its limit) of each stage and pair,
    and the first place of all that is beyond a limit."""

    differences: dict[tuple[str, Names], Difference]
    devices: dict[str, str]  # backend -> where it ran
    blind_from: int | None = None  # the first step, from 1, at which the band is too wide to judge
    first: Place | None = None
    first_pair: Names | None = None

    @property
    def agrees(self) -> bool:
        return self.first is None

    @property
    def not_judged(self) -> list[str]:
        """Of what nothing is said, as the control band is too wide: `losses from step 12 on`,
        `resumed`, or some of its tensors."""
        found = [] if self.blind_from is None else [f"losses from step {self.blind_from} on"]
        for (stage, _), difference in self.differences.items():
            if difference.left_out and stage != "losses":
                tensors = f": {', '.join(difference.left_out)}" if difference.judged else ""
                found.append(stage + tensors)
        return list(dict.fromkeys(found))

    @property
    def extent(self) -> str:
        """What an agreement is about: `every stage`, unless there was something not judged."""
        all_judged = all(difference.judged for difference in self.differences.values())
        if all_judged and not self.not_judged:
            return "every stage"
        return "every stage that could be judged"


def check(
    problem: Problem,
    classes: Mapping[str, BackendClass],
    say: Callable[[str], None] = lambda _: None,
) -> Parity:
    """Train all backends from the same state and compare each pair; `say` hears what goes on.

    Raises `ConfigError` where no backend's losses stay finite: then there is nothing to compare;
    and `Broke` where a backend raises an exception.
    """
    traces: dict[str, Trace] = {}
    for name, backend_class in classes.items():
        say(name)
        traces[name] = _traced(name, backend_class, problem)
    losses = [t.found["losses"].get("losses", np.zeros(0)) for t in traces.values()]
    if not any(np.isfinite(each).all() for each in losses):
        raise ConfigError(
            "the loss of every backend stops being finite; parity needs numbers to compare: try a "
            "smaller optimizer.lr, or fewer --steps."
        )
    differences, limits = _judged(problem, traces, say)
    devices = {name: each.device for name, each in traces.items()}
    parity = Parity(differences, devices, _blind_from(limits))
    failed = [(key, found) for key, found in differences.items() if found.beyond]
    if not failed:
        return parity
    (_, names), found = failed[0]
    say(f"looking for the place where {names[0]} and {names[1]} part")
    pair = (classes[names[0]], classes[names[1]])
    place = place_of(found, problem, pair, (traces[names[0]], traces[names[1]]), limits)
    return replace(parity, first=place, first_pair=names)


def _traced(name: str, backend_class: BackendClass, problem: Problem) -> Trace:
    try:
        return trace(backend_class, problem)
    except ConfigError:  # it says itself what the user can change
        raise
    except Exception as error:
        raise Broke(name, error) from error


def _judged(
    problem: Problem, traces: Mapping[str, Trace], say: Callable[[str], None]
) -> tuple[dict[tuple[str, Names], Difference], Found]:
    """All differences, and the control bands, which are drawn where a limit of the table is not
    kept: those of the first step alone, or those of all steps, which are the dearer ones."""
    limits: Found = {}
    differences = _differences(problem, traces, limits)
    for stages in (STAGES[: -len(ALL_STEPS)], ALL_STEPS):
        first = next((found for found in differences.values() if found.beyond), None)
        if first is not None and first.stage in stages and first.place:
            say("control band")
            limits |= bands(problem, first.stage)
            differences = _differences(problem, traces, limits)
    return differences, limits


def _differences(
    problem: Problem, traces: Mapping[str, Trace], limits: Found
) -> dict[tuple[str, Names], Difference]:
    return {
        (stage, pair): _difference(stage, pair, traces, problem, limits)
        for stage in STAGES
        for pair in combinations(traces, 2)
    }


def _difference(
    stage: str, pair: Names, traces: Mapping[str, Trace], problem: Problem, limits: Found
) -> Difference:
    """Of two backends at one stage. First each is held against the network itself: two that have
    the same wrong names would have nothing to compare, and agree."""
    precision = problem.training.precision
    network = {"names": problem.state.params, "optimiser slots": memory(problem.state)}
    one, other = (traces[name].found[stage] for name in pair)
    if stage in network:
        for name, found in zip(pair, (one, other), strict=True):
            form = compare("names", network[stage], found, precision, {})
            if form.beyond and (found or stage == "names"):
                note = f"{name} against the network: {form.note}"
                return replace(form, stage=stage, note=note)
    return compare(stage, one, other, precision, limits.get(stage, {}))


def _blind_from(limits: Found) -> int | None:
    """The first step whose control band says nothing, or None."""
    band = limits.get("losses", {}).get("losses")
    if band is None or np.isfinite(band).all():
        return None
    return int(np.argmax(~np.isfinite(band).all(axis=1))) + 1
