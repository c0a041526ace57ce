"""Draw a bar chart of medians with their quartiles."""

from pathlib import Path
from typing import Any

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import figure


@default_settings()
def draw(path: Path, values: dict[str, dict[str, float]], label: str, line: str = "") -> None:
    """Draw a bar for each spread (median, low, high); that of `line` is also a line across."""
    fig, axes = figure(width=6.4, height=1.2 + 0.4 * max(len(values), 1))
    axis: Any = axes[0, 0]
    medians = [value["median"] for value in values.values()]
    below = [value["median"] - value["low"] for value in values.values()]
    above = [value["high"] - value["median"] for value in values.values()]
    axis.barh(range(len(values)), medians, xerr=[below, above], color="#4c72b0", capsize=3)
    axis.set_yticks(range(len(values)), list(values))
    axis.invert_yaxis()
    if line in values:
        axis.axvline(values[line]["median"], color="black", linestyle="--", label=line)
        fig.legend(loc="outside upper right")
    axis.set_xlabel(f"{label} (median, quartiles)")
    fig.savefig(path, dpi=110)
