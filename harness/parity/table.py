"""Print the result of a comparison: the table, stage by stage, and the verdict, in 80 columns.

A stage has one row, for the pair with the largest error; if pairs differ, it has a row for each of
these. The certificate has every pair at every stage.
"""

from collections.abc import Iterator
from itertools import combinations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.core.difference import Difference
from harness.parity.lockstep import Names, Parity
from harness.parity.stages import STAGES, steps_compared


def show(parity: Parity, names: list[str], steps: int, screen: Console) -> None:
    """Print the table of the backends `names`, trained for `steps` steps, and the verdict."""
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
        differing: Names = parity.first_pair or ("", "")
        screen.print(f"\n  {steps_compared(steps)}", soft_wrap=True, highlight=False)
        screen.print(f"  [bold red]{differing[0]} and {differing[1]} differ.[/bold red] First at")
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
        for pair, difference in _rows(parity, stage, pairs):
            limit = f"{difference.limit:.0e}" if difference.limit and difference.judged else ""
            backends = " · ".join(pair) if difference.judged else ""
            table.add_row(title, _error(difference), limit, backends, escape(_at(difference)))
            title = ""
    return table


def _rows(parity: Parity, stage: str, pairs: list[Names]) -> Iterator[tuple[Names, Difference]]:
    """Yield the pairs that are beyond the limit, or else the one with the largest error."""
    rows = [(pair, parity.differences[stage, pair]) for pair in pairs]
    beyond = [(pair, difference) for pair, difference in rows if difference.beyond]
    worst = max(rows, key=lambda row: (row[1].judged, row[1].error))
    yield from beyond or [worst]


def _error(difference: Difference) -> str:
    if not difference.judged:
        return "not judged"
    if difference.stage == "names" or difference.note:
        return "[red]differ[/red]" if difference.beyond else "equal"
    error = f"{difference.error:.1e}" if difference.error else "0"
    return f"[red]{error}[/red]" if difference.beyond else error


def _at(difference: Difference) -> str:
    """Return the tensor, or the step of a loss, or the time step of hidden states."""
    if difference.error == 0:
        return ""
    if difference.stage == "losses" and difference.index:
        return f"step {difference.index[0] + 1}"
    if difference.stage == "hidden states" and difference.index:
        return f"{difference.tensor}, time step {difference.index[2]}"
    return "" if difference.tensor == difference.stage else difference.tensor
