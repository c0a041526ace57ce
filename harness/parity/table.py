"""The result on the screen: the table, stage by pair, and the verdict."""

from itertools import combinations

from rich.console import Console
from rich.table import Table

from harness.parity.difference import Difference
from harness.parity.lockstep import Names, Parity
from harness.parity.stages import STAGES


def show(parity: Parity, names: list[str], steps: int, screen: Console) -> None:
    pairs = list(combinations(names, 2))
    table = Table("stage", *("\n".join(pair) for pair in pairs), "limit", show_lines=True)
    for stage in STAGES:
        row = [parity.differences[stage, pair] for pair in pairs]
        limit = max(found.limit for found in row)
        table.add_row(stage, *map(_cell, row), f"{limit:.0e}" if limit else "exact")
    screen.print(table)
    screen.print("  each cell: largest relative error, the same in units in the last place")
    for part in parity.not_judged:
        screen.print(f"  not judged: {part}", soft_wrap=True, highlight=False)
    if parity.not_judged:
        screen.print("  there the control band is so wide that rounding alone may lead that far")
    if parity.first is None:
        where = f"at {parity.extent}, in {steps} steps"
        screen.print(f"\n  [bold]{', '.join(names)} agree[/bold] {where}.", soft_wrap=True)
    else:
        who: Names = parity.first_pair or ("", "")
        screen.print(f"\n  [bold red]{who[0]} and {who[1]} differ.[/bold red] First at")
        screen.print(f"    {parity.first.sentence()}", soft_wrap=True, highlight=False)


def _cell(found: Difference) -> str:
    if not found.judged:
        return "not judged"
    if found.stage == "names":
        return "[red]differ[/red]" if found.beyond else "equal"
    text = f"{found.error:.1e}\n{found.ulps:.3g} ulp" if not found.note else found.note
    return f"[red]{text}[/red]" if found.beyond else text
