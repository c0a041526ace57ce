"""What a search costs, told before it begins: steps of the recording times candidates."""

from time import perf_counter

from harness.identify.candidates import Rules, changes
from harness.identify.case import Case
from harness.identify.replay import losses
from harness.parity.control_band import BAND_RUNS
from harness.system.physical_memory import physical_memory

MINUTE = 60.0  # seconds that a search may take where the number of steps is left to it
MOST = 200  # steps: by then every rule has acted in the recordings of the tests
ROUNDS = 2  # of all changes, and of a band: a usual search, with its verdicts


def affordable(case: Case, rules: Rules, wanted: int | None) -> tuple[Case, str]:
    """Return as many steps of the case as a minute allows, or `wanted`, and a line on the price."""
    rules = rules | {"model.returns": next(iter(case.targets))}
    count = len(list(changes(rules, case)))
    S = len(case.losses)
    timed = case.shortened(min(2, S))
    losses(timed, [rules], 1)  # the first call has a price of its own
    begin = perf_counter()
    losses(timed, [rules], len(timed.losses))
    each = ROUNDS * (count + BAND_RUNS) * (perf_counter() - begin) / len(timed.losses)
    steps = min(S, MOST if wanted is None else wanted)
    if wanted is None:
        steps = max(min(steps, int(MINUTE / each)), 2)
    steps = min(steps, max(_held_in_memory(case, S), 2))
    text = (
        f"The first {steps:,} of {S:,} steps, {count} candidates a round: about "
        f"{each * steps:.1f} s, more where no single change helps."
    )
    return case.shortened(steps), text


def _held_in_memory(case: Case, steps: int) -> int:
    """Return the number of steps whose samples can be repeated for the band."""
    needed = BAND_RUNS * case.x.nbytes / steps
    return int(physical_memory() / 4 / needed)
