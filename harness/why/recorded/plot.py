"""The figure of two recordings: both curves, and below them their gap with each setting's part."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import figure, log_if_wide
from harness.why.recorded.gap import Gap
from harness.why.recorded.settings import Sides

SHOWN = 8  # settings with a line each, the largest; the others share one


@default_settings()
def draw_gap(path: Path, sides: Sides, gap: Gap, title: str) -> None:
    """Draw the figure and save it to `path`."""
    drawing, axes = figure(1, 2, width=9.0, height=3.6)
    _draw_losses(axes[0, 0], gap)
    _draw_parts(axes[1, 0], sides, gap)
    for axis in axes[:, 0]:
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    drawing.suptitle(textwrap.fill(title, 100), fontsize=11)
    drawing.savefig(path, dpi=120, bbox_inches="tight", format="png")


def _draw_losses(axis: Any, gap: Gap) -> None:
    steps = np.arange(len(gap.a)) + 1
    axis.plot(steps, gap.a, color="#4c72b0", linewidth=1.2, label="A, recorded")
    axis.plot(steps, gap.b, color="#dd8452", linewidth=1.2, label="B, recorded")
    rules = {"color": "black", "linewidth": 0.9, "linestyle": ":"}
    axis.plot(steps, gap.explained_b, **rules, label="B's rules on A's weights and samples")
    log_if_wide(axis, [*gap.a, *gap.b])
    axis.set_ylabel("loss")


def _draw_parts(axis: Any, sides: Sides, gap: Gap) -> None:
    steps = np.arange(len(gap.a)) + 1
    ranked = np.argsort(-np.abs(gap.parts).mean(axis=1), kind="stable")
    for n in ranked[:SHOWN]:
        axis.plot(steps, gap.parts[n], linewidth=1.2, label=sides.players[n].name)
    if len(ranked) > SHOWN:
        rest = gap.parts[ranked[SHOWN:]].sum(axis=0)
        axis.plot(steps, rest, linewidth=1.2, label=f"{len(ranked) - SHOWN} other settings")
    axis.plot(steps, gap.b - gap.a, color="black", linewidth=1.2, label="recorded gap")
    rules = {"color": "#f0b0b0", "linewidth": 0.9, "linestyle": "--"}
    axis.plot(steps, gap.explained_b - gap.explained_a, **rules, label="gap by rules")
    axis.axhline(0, color="black", linewidth=0.5)
    axis.set_xlabel("step")
    axis.set_ylabel("B's loss minus A's")
