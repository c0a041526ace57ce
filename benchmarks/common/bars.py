"""A picture of bars: a median with its quartiles by name."""

from pathlib import Path
from typing import Any

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import figure


@default_settings()
def draw(path: Path, values: dict[str, dict[str, float]], label: str, line: str = "") -> None:
    """`values` are spreads (median, low, high); the one called `line` is a line across, too."""
    made, axes = figure(width=6.4, height=1.2 + 0.4 * max(len(values), 1))
    axis: Any = axes[0, 0]
    medians = [value["median"] for value in values.values()]
    below = [value["median"] - value["low"] for value in values.values()]
    above = [value["high"] - value["median"] for value in values.values()]
    axis.barh(range(len(values)), medians, xerr=[below, above], color="#4c72b0", capsize=3)
    axis.set_yticks(range(len(values)), list(values))
    axis.invert_yaxis()
    if line in values:
        axis.axvline(values[line]["median"], color="black", linestyle="--", label=line)
        made.legend(loc="outside upper right")
    axis.set_xlabel(f"{label} (median, quartiles)")
    made.savefig(path, dpi=110)
