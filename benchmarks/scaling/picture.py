"""Draw the picture of `scaling`: both axes logarithmic, linear growth as a line of slope 1."""

from pathlib import Path
from typing import Any

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import COLOURS, figure

Curve = dict[str, Any]

WORDS = {
    "length": "length, time steps",
    "batch": "batch, samples",
    "replicas": "replicas trained at once",
}
UNITS = {"us": "µs per step, all replicas", "memory_bytes": "peak memory beyond imports, MB"}
DASHES = ["-", "--", "-.", ":"]  # one for each kernel
MARKS = ["o", "s", "^", "D"]


@default_settings()
def draw(path: Path, curves: list[Curve]) -> None:
    """Draw a row of panels per cell."""
    cells = list(dict.fromkeys(curve["cell"] for curve in curves))
    panels = list(dict.fromkeys((curve["kind"], curve["varied"]) for curve in curves))
    panels.sort(key=lambda panel: panel[0], reverse=True)  # memory last
    fig, axes = figure(max(len(panels), 1), max(len(cells), 1), width=4.2, height=3.6)
    for i, cell in enumerate(cells):
        for j, panel in enumerate(panels):
            panel_curves = [
                c for c in curves if (c["kind"], c["varied"]) == panel and c["cell"] == cell
            ]
            _draw_panel(axes[i, j], panel_curves)
            axes[i, j].set(title=cell, xlabel=WORDS[panel[1]], ylabel=UNITS[panel[0]])
    fig.savefig(path, dpi=110)


def _draw_panel(axis: Any, curves: list[Curve]) -> None:
    labels = list(dict.fromkeys(curve["label"] for curve in curves))
    frameworks = list(dict.fromkeys(curve["framework"] for curve in curves))
    for curve in curves:
        framework, kernel = curve["framework"], labels.index(curve["label"])
        axis.plot(
            curve["at"],
            _in_units(curve),
            color=COLOURS[framework],
            linestyle=DASHES[kernel % len(DASHES)],
            marker=MARKS[frameworks.index(framework) % len(MARKS)],
            markersize=4,
            label=framework if len(labels) == 1 else f"{framework}, {curve['label']}",
        )
    if curves:
        _draw_linear(axis, curves)
        at = curves[0]["at"]
        axis.set(xscale="log", yscale="log")
        axis.set_xticks(at, [str(value) for value in at])
        axis.minorticks_off()
        axis.grid(color="0.93")
        axis.set_axisbelow(True)
        axis.legend(fontsize=8)


def _draw_linear(axis: Any, curves: list[Curve]) -> None:
    """Draw a line of slope 1 above the end of the uppermost curve, over the largest half."""
    highest = max(curves, key=lambda curve: curve["values"][-1])
    at, end = highest["at"], 1.6 * _in_units(highest)[-1]
    half = at[len(at) // 2 - 1 :] if len(at) > 2 else at
    line = [end * value / at[-1] for value in half]
    axis.plot(half, line, color="black", linestyle=(0, (1, 2)), label="linear growth")


def _in_units(curve: Curve) -> list[float]:
    scale = 1e-6 if curve["kind"] == "memory_bytes" else 1.0
    return [value * scale for value in curve["values"]]
