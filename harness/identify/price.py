"""What a search may cost, told before it begins, in steps of training of one candidate.

A step's price is measured, so that what is tried does not depend on how fast the rest goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import TypeVar

from harness.console.command_line import counted
from harness.identify.candidates import Rules, changes
from harness.identify.case import Case
from harness.identify.replay import losses
from harness.parity.control_band import BAND_RUNS
from harness.system.physical_memory import physical_memory

SECONDS = 60.0  # of a core, that a search may take
MOST = 200  # steps: by then every rule has acted in the recordings of the tests
ROUNDS = 2  # of all changes, and of a band: a search whose first candidate fits, with its verdicts
TIMED = 3  # trainings
SHARE = 0.5  # of the seconds, for these rounds; the rest is for further changes

T = TypeVar("T")


@dataclass(kw_only=True)
class Budget:
    """How many steps of one candidate may still be trained, and what was left out for it."""

    steps: float = float("inf")
    left_out: list[str] = field(default_factory=list[str])

    def spend(self, candidates: int, steps: int) -> None:
        """Take the price of training candidates."""
        self.steps -= candidates * steps

    def affordable(self, what: str, candidates: Sequence[T], steps: int) -> Sequence[T]:
        """Return as many of the candidates, from the first, as can be trained; note the others."""
        most = max(self.steps // steps, 0)
        if len(candidates) > most:
            self.left_out.append(f"{len(candidates) - int(most):,} {what}")
            candidates = candidates[: int(most)]
        self.spend(len(candidates), steps)
        return candidates


def affordable(
    case: Case, rules: Rules, wanted: int | None, seconds: float = SECONDS
) -> tuple[Case, Budget, str]:
    """Return as many steps of the case as are affordable, or `wanted`; the budget; and a line."""
    rules = rules | {"model.returns": next(iter(case.targets))}
    candidates = ROUNDS * (len(list(changes(rules, case))) + BAND_RUNS)
    S, step = len(case.losses), _seconds_of_step(case, rules)
    steps = min(S, MOST if wanted is None else wanted)
    if wanted is None:
        steps = max(min(steps, int(SHARE * seconds / (candidates * step))), 2)
    steps = min(steps, max(_held_in_memory(case, S), 2), S)
    which = counted(S, "step") if steps == S else f"The first {steps:,} of {S:,} steps"
    text = (
        f"{which}: about {candidates * step * steps:.1f} s, and at most "
        f"about {max(seconds, candidates * step * steps):.0f} s where the first rules do not fit."
    )
    return case.shortened(steps), Budget(steps=seconds / step), text


def _seconds_of_step(case: Case, rules: Rules) -> float:
    """Return what a step takes of a core, the least of several: others may use the machine, too."""
    timed = case.shortened(min(2, len(case.losses)))
    losses(timed, [rules], 1)  # the first call has a price of its own
    taken = []
    for _ in range(TIMED):
        begin = process_time()
        losses(timed, [rules], len(timed.losses))
        taken.append((process_time() - begin) / len(timed.losses))
    return max(min(taken), 1e-6)


def _held_in_memory(case: Case, steps: int) -> int:
    """Return the number of steps whose samples can be repeated for the band."""
    needed = BAND_RUNS * case.x.nbytes / steps
    return int(physical_memory() / 4 / needed)
