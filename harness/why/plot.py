"""The figure of an answer: a waterfall from A's loss to B's, with one bar per setting.

The axis is the difference to A's loss, since a gap may be a millionth of the losses.
"""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import figure
from harness.why.answer import Outcome, Question
from harness.why.sentences import distinct, number, percent, plus_minus, side_name

SHOWN = 9  # settings with a bar each; the others share one
COLOURS = {"up": "#c44e52", "down": "#55a868", "end": "#4c72b0"}  # a rising loss is red
SIZE = 8  # of the text beside the axes, in points
CHARACTER = 0.56 * SIZE  # average width of a character, in points, rounded up
LABEL = (38, 4)  # most characters in a line of a label, and most lines


@dataclass(frozen=True)
class Bar:
    """One step from A's loss to B's."""

    label: str
    part: float
    half: float  # of its 95 % interval


@default_settings()
def draw_waterfall(path: Path, question: Question, outcomes: list[Outcome], title: str) -> None:
    """Draw a waterfall for each outcome, one below the other, and save the figure to `path`."""
    rows = [bars(question, outcome) for outcome in outcomes]
    lines = max(step.label.count("\n") + 1 for steps in rows for step in steps)
    height = (0.1 + 0.13 * max(lines, 2)) * (max(map(len, rows)) + 2) + 1.3
    drawing, axes = figure(1, len(outcomes), width=9.5, height=height)
    for axis, outcome, steps in zip(axes[:, 0], outcomes, rows, strict=True):
        _draw(axis, question, outcome, steps)
    drawing.suptitle(textwrap.fill(title, 100), fontsize=11)
    drawing.savefig(path, dpi=120, bbox_inches="tight", format="png")


def bars(question: Question, outcome: Outcome) -> list[Bar]:
    """Return the bars: settings with the largest part first, one for all others, the frameworks."""
    means, halves, ranked = outcome.parts.mean, outcome.parts.half, outcome.ranked()
    largest = ranked if len(ranked) <= SHOWN + 1 else ranked[:SHOWN]
    result = []
    for i in largest:
        player = question.players[i]
        label = _label(player.name, f"{player.a} → {player.b}")
        result.append(Bar(label, float(means[i]), float(halves[i])))
    if rest := ranked[len(largest) :]:
        result.append(Bar(f"{len(rest)} other settings", *outcome.together(rest)))
    if not question.same_framework:
        names = f"{question.a.backend.name} → {question.b.backend.name}"
        result.append(Bar(f"the frameworks\n{names}", *outcome.framework))
    return result


def _label(name: str, values: str) -> str:
    """Return a setting and its values, in lines that leave room for the bars."""
    width, height = LABEL
    lines = [*textwrap.wrap(name, width), *textwrap.wrap(values, width)]
    if len(lines) > height:
        lines = [*lines[: height - 1], lines[height - 1] + " …"]
    return "\n".join(lines)


def _draw(axis: Any, question: Question, outcome: Outcome, steps: list[Bar]) -> None:
    """Draw horizontal bars, beside which long names fit: A on top, B at the bottom."""
    reached = 0.0
    for row, step in enumerate(steps, start=1):
        colour = COLOURS["up" if step.part > 0 else "down"]
        axis.barh(row, step.part, left=reached, color=colour, height=0.62)
        axis.plot([reached] * 2, [row - 1, row + 0.31], color="black", linewidth=0.6)
        reached += step.part
        axis.errorbar(reached, row, xerr=step.half, color="black", capsize=2.5, linewidth=1)
    axis.plot([reached] * 2, [len(steps), len(steps) + 1.31], color="black", linewidth=0.6)
    for row, level in ((0, 0.0), (len(steps) + 1, outcome.gap)):
        axis.plot([level] * 2, [row - 0.31, row + 0.31], color=COLOURS["end"], linewidth=5)
    ends = [f"A: {side_name(question.a)}", f"B: {side_name(question.b)}"]
    axis.set_yticks(range(len(steps) + 2), [ends[0], *(s.label for s in steps), ends[1]])
    axis.tick_params(axis="y", labelsize=SIZE)
    axis.invert_yaxis()
    _write_values(axis, outcome, steps)
    title = f"{outcome.name}: gap {plus_minus(outcome.gap, outcome.half)}"
    axis.set_title(title, fontsize=10, loc="left")
    _finish(axis, f"{outcome.name} minus A's (bars: Shapley values; lines: 95 %)")


def _finish(axis: Any, label: str) -> None:
    axis.set_xlabel(label)
    axis.use_sticky_edges = False
    axis.margins(x=0.03, y=0.02)
    axis.locator_params(axis="x", nbins=7)
    axis.xaxis.set_major_formatter(lambda x, _: _tick(axis, x))
    axis.grid(axis="x", alpha=0.3)
    axis.set_axisbelow(True)
    for edge in ("top", "right"):
        axis.spines[edge].set_visible(False)


def _tick(axis: Any, x: float) -> str:
    """Return the label of a tick with its exponent, which Matplotlib would put beside the axis."""
    low, high = axis.get_xlim()
    return number(x if abs(x) > 1e-6 * (high - low) else 0.0)


def _write_values(axis: Any, outcome: Outcome, steps: list[Bar]) -> None:
    """Write parts and shares in two columns beside the axes, each as wide as its longest text."""
    first, last = distinct(float(outcome.a.mean()), float(outcome.b.mean()))
    rows = [(first, "")]
    for step in steps:
        share = percent(outcome.share(step.part), outcome.share_half(step.half))
        noise = abs(step.part) <= step.half
        rows.append((plus_minus(step.part, step.half), f"({share})" if noise else share))
    rows.append((last, ""))
    offset = 0.0  # to the right of the axes, in points
    for texts in zip(*rows, strict=True):
        offset += 12 + CHARACTER * max(map(len, texts))
        for row, text in enumerate(texts):
            axis.annotate(
                text,
                (1, row),
                (offset, 0),
                xycoords=axis.get_yaxis_transform(),
                textcoords="offset points",
                fontsize=SIZE,
                ha="right",
                va="center",
            )
