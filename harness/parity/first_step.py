"""The place of the first failing stage: in which of many steps did two backends part, and where?

Stages of the first step name their place themselves. Losses, and weights after the last step, have
many steps behind them; so both backends go through these once more, one by one.
"""

from dataclasses import replace

from backends import State
from harness.parity.difference import Difference, compare
from harness.parity.locate import Pair, Place, locate
from harness.parity.problem import Problem
from harness.parity.stages import STAGES, Found, Trace, memory, trace


def place_of(
    found: Difference, problem: Problem, pair: Pair, traces: tuple[Trace, Trace], limits: Found
) -> Place:
    """Where `pair`, whose `traces` show the difference `found`, parts for the first time."""
    if found.stage == "losses" and found.place:
        return _first_step(Place("losses", found.place[0] + 1, "loss"), problem, pair)
    if found.stage == "resumed":
        return _resumed(found, problem, pair, traces, limits)
    return locate(found, problem, pair, 0, problem.state)


def _resumed(
    found: Difference, problem: Problem, pair: Pair, traces: tuple[Trace, Trace], limits: Found
) -> Place:
    """What is rebuilt from the state is at fault only if the training's own weights agree. They do
    not either where half of the difference was there before the state was taken."""
    steps, precision = len(problem.batches), problem.training.precision
    band = limits.get("resumed", {})
    own = compare("resumed", traces[0].last, traces[1].last, precision, band)
    if found.place and (own.beyond or 2 * own.error >= found.error):
        return _first_step(Place("weights", steps, own.tensor), problem, pair)
    note = found.note or "what state() gives, or what is built from it, is not the training's"
    return Place("resumed", steps + 1, found.tensor, note=note)


def _first_step(last: Place, problem: Problem, pair: Pair) -> Place:
    """The first step, up to that of `last`, after which the two states differ, and what differs in
    it when both begin it from the same state."""
    precision = problem.training.precision
    if precision == "float32":
        return replace(last, note="repeat it with precision=float64 to see the tensor and step")
    backends = [problem.build(backend_class) for backend_class in pair]
    before: State = problem.state
    for step in range(last.step):
        for backend in backends:
            problem.train(backend, step, step + 1)
        states = [backend.state() for backend in backends]
        slots = [memory(state) for state in states]
        for stage, expected, actual in (
            ("optimiser slots", *slots),
            ("weights", states[0].params, states[1].params),
        ):
            parted = compare(stage, expected, actual, precision, {})
            if parted.beyond:
                return _at_step(parted, problem, pair, step, before)
        before = states[0]
    return replace(last, note="it shows only in calls of several steps")


def _at_step(parted: Difference, problem: Problem, pair: Pair, step: int, before: State) -> Place:
    """Both backends built anew from the state before `step`: which stage is the first to differ?"""
    one, other = (trace(backend_class, problem, step, before).found for backend_class in pair)
    for stage in STAGES[: STAGES.index("losses")]:
        found = compare(stage, one[stage], other[stage], problem.training.precision, {})
        if found.beyond:
            return locate(found, problem, pair, step, before)
    place = locate(parted, problem, pair, step, before)
    note = "backends built anew at this step agree: what differs is carried outside the state"
    return replace(place, note=note)
