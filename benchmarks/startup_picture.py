"""The picture of start-up: seconds by command, the reference as a line across."""

from pathlib import Path
from typing import Any

from harness.plots import figure

Row = dict[str, Any]


def draw(path: Path, rows: list[Row]) -> None:
    """The first row is the reference."""
    shown = [row for row in rows if "s" in row]
    made, axes = figure(width=6.4, height=1.2 + 0.4 * len(rows))
    axis = axes[0, 0]
    medians = [row["s"]["median"] for row in shown]
    below = [row["s"]["median"] - row["s"]["low"] for row in shown]
    above = [row["s"]["high"] - row["s"]["median"] for row in shown]
    axis.barh(range(len(shown)), medians, xerr=[below, above], color="#4c72b0", capsize=3)
    axis.set_yticks(range(len(shown)), [row["name"] for row in shown])
    axis.invert_yaxis()
    if shown and shown[0] is rows[0]:
        axis.axvline(medians[0], color="black", linestyle="--", label=rows[0]["name"])
        made.legend(loc="outside upper right")
    axis.set_xlabel("seconds from start to exit (median, quartiles)")
    made.savefig(path, dpi=110)
