"""The result on the screen: the table, stage by stage, and the verdict. It fits 80 columns.

A stage has one row, that of the pair with the largest error; where pairs differ, a row for each of
these. The certificate has every pair at every stage.
"""

from collections.abc import Iterator
from itertools import combinations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.parity.difference import Difference
from harness.parity.lockstep import Names, Parity
from harness.parity.stages import STAGES, steps_compared


def show(parity: Parity, names: list[str], steps: int, screen: Console) -> None:
    pairs = list(combinations(names, 2))
    screen.print(_table(parity, pairs))
    several = "; of the pairs the worst, or each that differs" if len(pairs) > 1 else ""
    screen.print(f"  largest relative errors{several}")
    for part in parity.not_judged:
        screen.print(f"  not judged: {part}", soft_wrap=True, highlight=False)
    if parity.not_judged:
        screen.print("  there the control band is so wide that rounding alone may lead that far")
    if parity.first is None:
        what = f"{', '.join(names)} agree[/bold] at {parity.extent}: {steps_compared(steps)}."
        screen.print(f"\n  [bold]{what}", soft_wrap=True, highlight=False)
    else:
        who: Names = parity.first_pair or ("", "")
        screen.print(f"\n  {steps_compared(steps)}", soft_wrap=True, highlight=False)
        screen.print(f"  [bold red]{who[0]} and {who[1]} differ.[/bold red] First at")
        text = escape(parity.first.sentence())
        screen.print(f"    {text}", soft_wrap=True, highlight=False)


def _table(parity: Parity, pairs: list[Names]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("stage", no_wrap=True)
    table.add_column("error", no_wrap=True, justify="right")
    table.add_column("limit", no_wrap=True, justify="right")
    table.add_column("pair")
    table.add_column("at")
    for stage in STAGES:
        title = stage
        for pair, found in _rows(parity, stage, pairs):
            limit = f"{found.limit:.0e}" if found.limit and found.judged else ""
            who = " · ".join(pair) if found.judged else ""
            table.add_row(title, _error(found), limit, who, escape(_at(found)))
            title = ""
    return table


def _rows(parity: Parity, stage: str, pairs: list[Names]) -> Iterator[tuple[Names, Difference]]:
    """The pairs that are beyond the limit, or else the one with the largest error."""
    found = [(pair, parity.differences[stage, pair]) for pair in pairs]
    beyond = [(pair, difference) for pair, difference in found if difference.beyond]
    worst = max(found, key=lambda row: (row[1].judged, row[1].error))
    yield from beyond or [worst]


def _error(found: Difference) -> str:
    if not found.judged:
        return "not judged"
    if found.stage == "names" or found.note:
        return "[red]differ[/red]" if found.beyond else "equal"
    error = f"{found.error:.1e}" if found.error else "0"
    return f"[red]{error}[/red]" if found.beyond else error


def _at(found: Difference) -> str:
    """The tensor, or what says more of a stage that has only one."""
    if found.error == 0:
        return ""
    if found.stage == "losses" and found.place:
        return f"step {found.place[0] + 1}"
    if found.stage == "hidden states" and found.place:
        return f"{found.tensor}, time step {found.place[2]}"
    return "" if found.tensor == found.stage else found.tensor
