"""Several backends on one problem: every stage of every pair, and the first place that differs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from backends import State
from harness.parity.locate import Pair, Place, locate
from harness.parity.problem import BackendClass, Problem
from harness.parity.stages import STAGES, Difference, Trace, bands, compare, trace

Names = tuple[str, str]


@dataclass(frozen=True)
class Parity:
    """What was found: the worst difference (or the first beyond its limit) of each stage and pair,
    and the first place of all that is beyond a limit."""

    differences: dict[tuple[str, Names], Difference]
    first: Place | None = None
    first_pair: Names | None = None

    @property
    def agrees(self) -> bool:
        return self.first is None


def check(
    problem: Problem,
    classes: Mapping[str, BackendClass],
    say: Callable[[str], None] = lambda text: None,
) -> Parity:
    """Train all backends from the same state and compare each pair; `say` hears what goes on."""
    say("control band")
    limits = bands(problem)
    traces: dict[str, Trace] = {}
    for name, backend_class in classes.items():
        say(name)
        traces[name] = trace(backend_class, problem)
    precision = problem.training.precision
    differences = {
        (stage, (a, b)): compare(
            stage, traces[a][stage], traces[b][stage], precision, limits.get(stage, {})
        )
        for stage in STAGES
        for a, b in combinations(classes, 2)
    }
    failed = [(key, found) for key, found in differences.items() if found.beyond]
    if not failed:
        return Parity(differences)
    (stage, names), found = failed[0]
    say(f"looking for the place where {names[0]} and {names[1]} part")
    pair = (classes[names[0]], classes[names[1]])
    if stage == "losses":
        return Parity(differences, _first_step(found, problem, pair), names)
    return Parity(differences, locate(found, problem, pair, 0, problem.state), names)


def _first_step(found: Difference, problem: Problem, pair: Pair) -> Place:
    """The first step after which the two states differ, and what differs in it when both begin it
    from the same state."""
    last, precision = found.place[0], problem.training.precision
    if precision == "float32":
        note = "repeat it with precision=float64 to see the tensor"
        return Place("losses", last + 1, "loss", note=note)
    backends = [problem.build(backend_class) for backend_class in pair]
    before: State = problem.state
    for step in range(last + 1):
        for backend in backends:
            problem.train(backend, step, step + 1)
        states = [backend.state() for backend in backends]
        slots = [
            {f"{s} of {n}": v for s, kept in state.slots.items() for n, v in kept.items()}
            for state in states
        ]
        for stage, expected, actual in (
            ("optimiser slots", *slots),
            ("weights", states[0].params, states[1].params),
        ):
            parted = compare(stage, expected, actual, precision, {})
            if parted.beyond:
                return _at_step(parted, problem, pair, step, before)
        before = states[0]
    return Place("losses", last + 1, "loss", note="the states agree, the loss does not")


def _at_step(parted: Difference, problem: Problem, pair: Pair, step: int, before: State) -> Place:
    """Both backends built anew from the state before `step`: which stage is the first to differ?"""
    one, other = (trace(backend_class, problem, step, before) for backend_class in pair)
    for stage in STAGES:
        found = compare(stage, one[stage], other[stage], problem.training.precision, {})
        if found.beyond:
            return locate(found, problem, pair, step, before)
    place = locate(parted, problem, pair, step, before)
    note = "backends built anew at this step agree: what differs is carried outside the state"
    return replace(place, note=note)
