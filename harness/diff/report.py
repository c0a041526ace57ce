"""Print what was compared: architecture, weights gate by gate, outputs and hidden states."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.core.difference import Difference
from harness.core.model import count_params
from harness.diff.comparison import Comparison
from harness.diff.outputs import Place
from harness.diff.sentences import listed
from harness.diff.tensors import acting, blocks, largest_difference, limit
from harness.diff.weight_search import WeightSearch
from harness.formats.trained_network import Network

STRUCTURE = ("cell", "features", "units", "layers", "returns", "head", "outputs")
FIELDS = (*STRUCTURE, "activation", "reset", "biases")


def architecture(a: Network, b: Network) -> Table:
    """Return both networks side by side; what differs is marked."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("", "A", "B", ""):
        table.add_column(title)
    for name in FIELDS:
        values = [str(getattr(network.model, name)) for network in (a, b)]
        if name != "reset" or "gru" in (a.model.cell, b.model.cell):
            _row(table, name, *values)
    _row(table, "parameters", *(f"{count_params(n.model):,}" for n in (a, b)))
    _row(table, "precision", a.precision, b.precision)
    _row(table, "loss", a.loss, b.loss)
    _row(table, "scaled", *("yes" if n.standardised else "no" for n in (a, b)))
    return table


def _row(table: Table, name: str, first: str, second: str) -> None:
    table.add_row(name, first, second, "" if first == second else "differs")


def structure_differs(a: Network, b: Network) -> list[str]:
    """Return in what the networks differ so that their weights cannot be compared."""
    return [
        f"{name} {getattr(a.model, name)} and {getattr(b.model, name)}"
        for name in STRUCTURE
        if getattr(a.model, name) != getattr(b.model, name)
    ]


def weights(search: WeightSearch) -> Table:
    """Return the largest difference of each tensor, gate by gate, as a share of its largest entry.

    Differences within rounding are shown as =.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("weights", no_wrap=True)
    table.add_column("largest", justify="right")
    table.add_column("gate by gate")
    for name, a in search.a.items():
        mine, theirs = acting(name, a, search.model), search.b[name]
        names = blocks(name, search.model)
        size = mine.shape[-1] // len(names)
        parts = [slice(n * size, (n + 1) * size) for n in range(len(names))]
        scale = abs(mine).max(initial=0.0), abs(theirs).max(initial=0.0)
        gates = [
            f"{gate} {_share(abs(mine[..., p] - theirs[..., p]).max(), max(scale), search)}"
            for gate, p in zip(names, parts, strict=True)
        ]
        largest = _number(largest_difference(mine, theirs), search.precision)
        table.add_row(name, largest, "  ".join(gates) if len(names) > 1 else "")
    return table


def _share(gap: float, scale: float, search: WeightSearch) -> str:
    return _number(gap / scale if scale else 0.0, search.precision)


def _number(share: float, precision: str) -> str:
    return "=" if share <= limit(precision) else f"{share:.1e}"


def place(found: Place) -> str:
    """Return the first difference in words, with its size."""
    worst = found.difference
    text = f"First at time step {found.time_step}, {found.layer}"
    if found.gates:
        gates = ", ".join(f"{gate} {error:.1e}" for gate, error in found.gates.items())
        text += f", gates {gates}"
    text += f"; its states differ by {worst.error:.1e}, limit {worst.limit:.0e}"
    return f"{text} (of the largest)."


def outputs(found: Difference, what: str) -> str:
    """Return the largest difference of outputs in words."""
    if not found.judged:
        return f"Outputs on {what}: not judged: rounding alone may lead that far."
    verdict = "beyond rounding" if found.beyond else "within rounding"
    note = f" ({found.note})" if found.note else ""
    error = f"{found.error:.1e} of the largest, limit {found.limit:.0e}"
    return f"Outputs on {what}: {error}: {verdict}{note}."


def though(compared: Comparison) -> str:
    """Return in what networks that compute the same differ, if in anything."""
    if compared.copied:
        return ""
    reordered, layers = compared.in_units_of_a
    if layers and reordered.copied:
        return f": the units of B's {of_layers(layers)} are in another order"
    return ", though their weights differ by more than rounding"


def of_layers(layers: list[int]) -> str:
    """Return `layer 1`, or `layers 0 and 1`."""
    return f"layer{'s' * (len(layers) > 1)} {listed([str(layer) for layer in layers])}"


def say(line: str, screen: Console, style: str = "") -> None:
    """Print a line, broken where the screen ends only on a terminal."""
    screen.print(escape(line), style=style or None, highlight=False, soft_wrap=True)
