"""Draw the picture of `steps`: a panel per network, a line per contestant, logarithmic in time.

Marks of the harness are filled, with one shape for each number of replicas.
"""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import COLOURS, figure

Row = dict[str, Any]

MARKS = ["o", "s", "^", "D", "v", "P", "X"]
ENTRY = 2.1  # inches, width of an entry of the legend


@default_settings()
def draw(path: Path, rows: list[Row]) -> None:
    """Draw the rows that the tables quote; an empty picture where no row has a time."""
    shown = [row for row in rows if "us" in row and row["quoted"]]
    if not shown:
        figure()[0].savefig(path)
        return
    sizes = list(dict.fromkeys(row["size"] for row in shown))
    cells = list(dict.fromkeys(row["cell"] for row in shown))
    replicas = sorted({row["replicas"] for row in shown})
    lines = max(len(_lines(_panel(shown, s, c))) for s in sizes for c in cells)
    fig, axes = figure(len(cells), len(sizes), width=5.2, height=1.2 + 0.22 * lines)
    for i, size in enumerate(sizes):
        for j, cell in enumerate(cells):
            _draw_panel(axes[i, j], _panel(shown, size, cell), replicas)
            axes[i, j].set_title(f"{size}, {cell}", fontsize=10)
            if j and _lines(_panel(shown, size, cell)) == _lines(_panel(shown, size, cells[0])):
                axes[i, j].set_yticklabels([])
    _legend(fig, replicas)
    fig.savefig(path, dpi=110)


def _panel(rows: list[Row], size: str, cell: str) -> list[Row]:
    return [row for row in rows if row["size"] == size and row["cell"] == cell]


def _line(row: Row) -> tuple[str, str]:
    return row["framework"], row["best_of"] or row["label"]


def _lines(rows: list[Row]) -> list[tuple[str, str]]:
    """Return framework and contestant of each line, from top to bottom."""
    return list(dict.fromkeys(map(_line, rows)))


def _draw_panel(axis: Any, rows: list[Row], replicas: list[int]) -> None:
    if not rows:  # all of them failed
        axis.set_axis_off()
        return
    lines = _lines(rows)
    for row in rows:
        us, colour = row["us"], COLOURS[row["framework"]]
        axis.errorbar(
            us["median"],
            lines.index(_line(row)),
            xerr=[[us["median"] - us["low"]], [us["high"] - us["median"]]],
            marker=MARKS[replicas.index(row["replicas"]) % len(MARKS)],
            markersize=6,
            color=colour,
            markerfacecolor=colour if row["ours"] else "white",
            capsize=2,
        )
    for place, (above, below) in enumerate(pairwise(lines)):
        if above[0] != below[0]:  # another framework
            axis.axhline(place + 0.5, color="0.8", linewidth=0.8)
    axis.set_yticks(range(len(lines)), [f"{name}  {label}" for name, label in lines], fontsize=8)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.set_xscale("log")
    ticks = _ticks([value for row in rows for value in row["us"].values()])
    axis.set_xticks(ticks, [_short(tick) for tick in ticks], fontsize=8)
    axis.set_xlim(ticks[0] / 1.05, ticks[-1] * 1.05)
    axis.minorticks_off()
    axis.grid(axis="x", color="0.9", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.set_xlabel("µs per training step and replica (median, quartiles)", fontsize=9)


def _short(number: float) -> str:
    """Abbreviate a number, such as 10k for 10,000, so that neighbouring labels do not touch."""
    return f"{number / 1000:g}k" if number >= 10_000 else f"{number:,g}"


def _ticks(values: list[float]) -> list[float]:
    """Return ticks 1, 3, 10, 30, … that enclose all values."""
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    ticks = [digit * 10.0**decade for decade in decades for digit in (1, 3)]
    below = max(tick for tick in ticks if tick <= min(values))
    above = min(tick for tick in ticks if tick >= max(values))
    return [tick for tick in ticks if below <= tick <= above]


def _legend(fig: Any, replicas: list[int]) -> None:
    from matplotlib.lines import Line2D

    def mark(shape: str, face: str, label: str) -> Any:
        return Line2D([], [], marker=shape, color="0.3", linestyle="", mfc=face, label=label)

    handles = [mark("o", "white", "written by hand")]
    for place, number in enumerate(replicas):
        several = f"{number} replica" + ("s" if number > 1 else "")
        handles.append(mark(MARKS[place % len(MARKS)], "0.3", f"harness, {several}"))
    beside = int(fig.get_figwidth() / ENTRY)
    fig.legend(handles=handles, loc="outside upper center", ncols=beside, fontsize=9)
