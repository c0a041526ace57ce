"""The table of `check`, a line for each ratio that is too low, and a summary."""

from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.check.ratios import network_of
from benchmarks.common import machine, report
from benchmarks.common.report import Sheet
from harness.console.command_line import option, python

SHOWN = ("processor", "cores")


def show(
    document: dict[str, Any],
    least: dict[str, float],
    found: dict[str, float],
    path: Path,
    screen: Console,
) -> int:
    """Print how the ratios `found` compare with those of `document`; return the exit code.

    `least` has the lowest ratio that passes, by name.
    """
    ratios = document["ratios"]
    sheet = Sheet("ratios", ["network", "ratio of", "expected", "found", "verdict"], words=2)
    low = [name for name in least if found.get(name, 0.0) < least[name]]
    for name in least:
        network, _, kind = name.partition(": ")
        cells = [f"{ratios[name]:.2f}", f"{found[name]:.2f}" if name in found else "failed"]
        sheet.rows.append([network, kind, *cells, "too low" if name in low else "as expected"])
    report.show([sheet], _notes(document), screen)
    for name in low:
        screen.print(_line(name, ratios[name], least[name], found.get(name)), soft_wrap=True)
    number = f"{len(least)} ratios: {len(least) - len(low)} as expected, {len(low)} too low"
    screen.print(f"\n  {number}, against {path}", soft_wrap=True, highlight=False)
    words = ["--frameworks", network_of(low[0])[0]] if low else []
    screen.print(f"  next     {python('benchmarks', words)}", soft_wrap=True)
    return 1 if low else 0


def _notes(document: dict[str, Any]) -> list[str]:
    """Return how to read the table, and a warning of another machine."""
    notes = [
        "by hand: time of the fastest way by hand over ours; replicas: one alone over several, "
        "per replica;",
        "products alone: a step's bare matrix products over NumPy's step. Higher is better in all.",
    ]
    here = machine.facts()
    there = [document.get(key) for key in SHOWN]
    if there != [here[key] for key in SHOWN]:
        notes.append(f"expected on another machine: {', '.join(map(str, there))} cores")
    return notes


def _line(name: str, expected: float, least: float, found: float | None) -> str:
    """Return what was expected and found, and how to look closer."""
    framework, size, cell = network_of(name)
    words = [*option("--frameworks", framework), *option("--sizes", size), *option("--cells", cell)]
    what = "failed" if found is None else f"found {found:.2f}"
    return (
        f"  too low: {name}: expected {expected:.2f}, {what}, must be at least {least:.2f}; see "
        f"which time changed: {python('benchmarks', words)}; meant: measure anew (--write)"
    )
