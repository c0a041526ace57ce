"""Draw the picture of `overhead`: the seconds of a run, and of its training alone."""

from pathlib import Path
from typing import Any

from benchmarks.common.timing import spread
from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import COLOURS, figure

Row = dict[str, Any]


@default_settings()
def draw(path: Path, rows: list[Row]) -> None:
    """Draw a bar for each backend without an error."""
    timed = [row for row in rows if not row["error"]]
    fig, axes = figure(width=6.4, height=1.2 + 0.5 * len(rows))
    axis = axes[0, 0]
    for place, row in enumerate(timed):
        alone, whole = spread(row["alone"]).median, spread(row["whole"]).median
        colour = COLOURS[row["name"]]
        label = ("training alone", "trainer, journal, files, MLflow") if place == 0 else (None,) * 2
        axis.barh(place, alone, color=colour, label=label[0])
        axis.barh(place, whole - alone, left=alone, color=colour, alpha=0.4, label=label[1])
    axis.set_yticks(range(len(timed)), [row["name"] for row in timed])
    axis.invert_yaxis()
    axis.set_xlabel("seconds (medians)")
    if timed:
        fig.legend(loc="outside upper right", ncols=2)
    fig.savefig(path, dpi=110)
