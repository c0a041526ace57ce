"""Everything from a recording's folder to its rules and the verdict of each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.core.semantics import Semantics
from harness.identify.case import Case
from harness.identify.network import read_case
from harness.identify.price import SECONDS, Budget, affordable
from harness.identify.search import Found, search
from harness.identify.stated import starts
from harness.identify.verdict import Verdict
from harness.identify.verdicts import verdicts
from harness.readers.foreign_network import Stated
from harness.recorder.recording import Recording


@dataclass(frozen=True, kw_only=True)
class Identified:
    """A recording, and what was found of its rules."""

    recording: Recording
    whole: Case  # all of its steps
    case: Case  # those that were judged
    found: Found
    budget: Budget
    verdicts: list[Verdict]  # none where no rules fit


def identified(
    folder: Path,
    recording: Recording,
    say: Callable[[str], None],
    *,
    stated: Stated | None = None,
    lr: float | None = None,
    steps: int | None = None,
    seconds: float = SECONDS,
    known: Semantics | None = None,
) -> Identified:
    """Find the rules of a recording, and `say` what it costs and how it goes.

    `known` semantics are tried first. Raises `ConfigError` for a recording that lacks something.
    """
    whole = read_case(folder, recording, stated or Stated(), lr)
    for note in recording.notes:
        say(f"The recorder noted: {note}.")
    begun = starts(folder, recording, known)
    case, budget, price = affordable(whole, begun[0], steps, seconds)
    say(price)
    found = search(case, begun, say, budget)
    return Identified(
        recording=recording,
        whole=whole,
        case=case,
        found=found,
        budget=budget,
        verdicts=verdicts(case, found, recording) if found.fits else [],
    )
