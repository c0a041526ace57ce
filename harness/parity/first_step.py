"""Find the first of many steps at which two backends differ, and the place of the difference.

A stage of the first step gives the place directly. Losses, and weights after the last step, depend
on many steps, so both backends repeat these one by one.
"""

from dataclasses import replace

from backends import State
from harness.core.difference import Difference, compare
from harness.parity.locate import locate
from harness.parity.place import Place
from harness.parity.problem import Pair, Problem
from harness.parity.stages import STAGES, StageTensors, Trace, memory, trace


def place_of(
    difference: Difference,
    problem: Problem,
    pair: Pair,
    traces: tuple[Trace, Trace],
    limits: StageTensors,
) -> Place:
    """Return the place at which `pair` first differs; `difference` is one that its `traces` show.

    `limits` are the control bands that were computed.
    """
    if difference.stage == "losses" and difference.index:
        return _first_step(
            Place(stage="losses", step=difference.index[0] + 1, tensor="loss"), problem, pair
        )
    if difference.stage == "resumed":
        return _resumed(difference, problem, pair, traces, limits)
    return locate(difference, problem, pair, 0, problem.state)


def _resumed(
    difference: Difference,
    problem: Problem,
    pair: Pair,
    traces: tuple[Trace, Trace],
    limits: StageTensors,
) -> Place:
    """Return the place of a difference in the resumed weights.

    Resuming is at fault only if the weights of the training itself agree. They count as different,
    too, if half of the difference was there before the state was taken.
    """
    steps, precision = len(problem.batches), problem.training.precision
    band = limits.get("resumed", {})
    trained = compare("resumed", traces[0].last_weights, traces[1].last_weights, precision, band)
    if difference.index and (trained.beyond or 2 * trained.error >= difference.error):
        return _first_step(Place(stage="weights", step=steps, tensor=trained.tensor), problem, pair)
    note = difference.note or "what state() gives, or what is built from it, is not the training's"
    return Place(stage="resumed", step=steps + 1, tensor=difference.tensor, note=note)


def _first_step(last: Place, problem: Problem, pair: Pair) -> Place:
    """Return the place of the first step, up to that of `last`, after which the states differ.

    Both backends then begin this step from the same state, to see which stage differs.
    """
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
            difference = compare(stage, expected, actual, precision, {})
            if difference.beyond:
                return _at_step(difference, problem, pair, step, before)
        before = states[0]
    return replace(last, note="it shows only in calls of several steps")


def _at_step(after: Difference, problem: Problem, pair: Pair, step: int, before: State) -> Place:
    """Return the place of the first stage that differs in `step`.

    Both backends are built anew from the state `before` the step; `after` is the difference of
    their states after it.
    """
    first, second = (trace(backend_class, problem, step, before).stages for backend_class in pair)
    for stage in STAGES[: STAGES.index("losses")]:
        difference = compare(stage, first[stage], second[stage], problem.training.precision, {})
        if difference.beyond:
            return locate(difference, problem, pair, step, before)
    place = locate(after, problem, pair, step, before)
    note = "backends built anew at this step agree: what differs is carried outside the state"
    return replace(place, note=note)
