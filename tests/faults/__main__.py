"""`python -m tests.faults [NAME …] [--short]`: do faults for real and print what was lost.

A NAME is that of a fault or its beginning, as `kill` or `server-down`. The exit code is 1 if a run
or a number was lost or differs, or a program printed a traceback, hung or left a process behind.
"""

import argparse
import sys

from tests.faults.all_faults import FAULTS
from tests.faults.fault import Fault, Outcome, try_fault

HEADER = "| fault | tries | runs | found | equal | lost |\n|---|--:|--:|--:|--:|--:|"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("--short", action="store_true", help="few faults, one try of each")
    parser.add_argument("--tries", type=int, help="of each fault (default: its own number)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments (default: 0)")
    parser.add_argument("--list", action="store_true", help="show the names, and do nothing")
    options = parser.parse_args()
    faults = [fault for fault in FAULTS if _is_named(fault, options.names, options.short)]
    if options.list or not faults:
        print("\n".join(f"{fault.name:24} {fault.what}" for fault in faults or FAULTS))
        return 0 if options.list else 2
    outcomes: list[Outcome] = []
    for fault in faults:
        tries = 1 if options.short else options.tries or fault.tries
        outcomes.append(try_fault(fault, tries, options.seed, options.short))
        _show(outcomes[-1])
    print(f"\n{HEADER}")
    for outcome in outcomes:
        print(_row(outcome))
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def _is_named(fault: Fault, names: list[str], short: bool) -> bool:
    if names:
        return any(fault.name.startswith(name) for name in names)
    return fault.is_short or not short


def _show(outcome: Outcome) -> None:
    state = "skipped: " + outcome.skipped if outcome.skipped else ""
    state = state or ("nothing lost" if outcome.is_good else "WRONG")
    print(f"{outcome.seconds:6.0f} s  {outcome.fault.name:24} {_row(outcome)} {state}")
    for problem in outcome.problems:
        print(f"    {problem}")
    sys.stdout.flush()


def _row(outcome: Outcome) -> str:
    numbers = (outcome.tries, outcome.expected, outcome.found, outcome.equal, outcome.lost)
    return f"| {outcome.fault.what} | {' | '.join(map(str, numbers))} |"


if __name__ == "__main__":
    sys.exit(main())
