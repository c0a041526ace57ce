"""Draw runs and points per second against the number of processes that send."""

from pathlib import Path
from typing import Any

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import figure


@default_settings()
def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Draw a line for each store: tiny runs on the left, points of long runs on the right."""
    fig, axes = figure(columns=2, width=4.0, height=3.2)
    done = [row for row in rows if not row["error"]]
    for store in dict.fromkeys(row["store"] for row in done):
        mine = [row for row in done if row["store"] == store]
        senders = [row["senders"] for row in mine]
        runs = [row["tiny_runs"] / row["tiny_s"] for row in mine]
        points = [row["long_runs"] * row["long_points"] / row["long_s"] for row in mine]
        axes[0, 0].plot(senders, runs, marker="o", label=store)
        axes[0, 1].plot(senders, points, marker="o")
    for axis, label in zip(axes[0], ("tiny runs per second", "points per second"), strict=True):
        axis.set_xlabel("processes that send at once")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
    if done:
        fig.legend(loc="outside upper center", ncols=3)
    fig.savefig(path, dpi=110)
