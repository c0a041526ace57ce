"""The picture of sweeps: tracked runs per second by way."""

from pathlib import Path
from typing import Any

from harness.plots import figure

Row = dict[str, Any]


def draw(path: Path, rows: list[Row]) -> None:
    shown = [row for row in rows if not row["error"]]
    made, axes = figure(width=6.4, height=1.2 + 0.4 * len(rows))
    axis = axes[0, 0]
    medians = [row["per_second"]["median"] for row in shown]
    below = [row["per_second"]["median"] - row["per_second"]["low"] for row in shown]
    above = [row["per_second"]["high"] - row["per_second"]["median"] for row in shown]
    axis.barh(range(len(shown)), medians, xerr=[below, above], color="#4c72b0", capsize=3)
    axis.set_yticks(range(len(shown)), [row["name"] for row in shown])
    axis.invert_yaxis()
    axis.set_xlabel("tracked runs per second (median, quartiles)")
    made.savefig(path, dpi=110)
