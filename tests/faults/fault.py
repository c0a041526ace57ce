"""A fault, and its trial as often as is asked for."""

import random
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.trial import Trial


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault that `once` does.

    `once` starts programs in the trial's folder. Unless it `settles` by itself, `harness sync` and
    the comparison follow after the last try, all of which share a folder, or with `is_fresh` after
    each, which has its own.
    """

    name: str
    what: str
    once: Callable[[Trial], None]
    tries: int = 4
    is_fresh: bool = False
    settles: bool = False
    is_short: bool = False  # whether it belongs to the short form
    needs: Callable[[], str | None] = lambda: None  # why it cannot be done here


@dataclass
class Outcome:
    """Numbers of a fault's row in the table, and what was wrong."""

    fault: Fault
    tries: int = 0
    expected: int = 0
    found: int = 0
    equal: int = 0
    lost: int = 0
    seconds: float = 0.0
    skipped: str = ""
    problems: list[str] = field(default_factory=list[str])

    def add(self, trial: Trial) -> None:
        self.expected += trial.comparison.expected
        self.found += trial.comparison.found
        self.equal += trial.comparison.equal
        self.lost += trial.lost
        self.problems += trial.problems

    @property
    def is_good(self) -> bool:
        return not self.problems and not self.lost and self.expected == self.found == self.equal


def try_fault(fault: Fault, tries: int, seed: int, short: bool) -> Outcome:
    """Do a fault `tries` times and compare."""
    outcome = Outcome(fault)
    outcome.skipped = fault.needs() or ""
    began = time.monotonic()
    generator = random.Random(f"{seed} {fault.name}")
    with tempfile.TemporaryDirectory(prefix=f"{fault.name}-") as place:
        trial = Trial(Path(place, "0"), generator, short)
        for number in range(0 if outcome.skipped else tries):
            if fault.is_fresh and number:
                trial = Trial(Path(place, str(number)), generator, short)
            outcome.tries += 1
            is_last = fault.is_fresh or number == tries - 1
            try:
                fault.once(trial)
                if is_last and not fault.settles:
                    trial.settle()
            except Exception:  # the other faults go on
                trial.problems.append(traceback.format_exc())
            if is_last:
                outcome.add(trial)
    outcome.seconds = time.monotonic() - began
    return outcome
