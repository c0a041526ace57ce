"""The picture of an answer: the way from A's loss to B's, one bar per setting.

Drawn is what is added to A's loss: a gap may be a millionth of the losses themselves.
"""

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.reporting.matplotlib_settings import default_settings
from harness.reporting.plots import figure
from harness.why.answer import Outcome, Question
from harness.why.sentences import apart, number, percent, plus_minus, side

SHOWN = 9  # settings with a bar of their own; the others share one
COLOURS = {"up": "#c44e52", "down": "#55a868", "end": "#4c72b0"}  # a rising loss is red
SIZE = 8  # of the text beside the axes, in points
CHARACTER = 0.56 * SIZE  # how wide one is on average, in points, with some to spare
LABEL = (38, 4)  # characters in a line of a label, and lines


@dataclass(frozen=True)
class Bar:
    """One step of the way from A's loss to B's."""

    label: str
    part: float
    half: float  # of its 95 % interval


@default_settings()
def draw_waterfall(path: Path, question: Question, outcomes: list[Outcome], title: str) -> None:
    """One panel per outcome, below each other."""
    rows = [bars(question, outcome) for outcome in outcomes]
    lines = max(step.label.count("\n") + 1 for steps in rows for step in steps)
    height = (0.1 + 0.13 * max(lines, 2)) * (max(map(len, rows)) + 2) + 1.3
    made, axes = figure(1, len(outcomes), width=9.5, height=height)
    for axis, outcome, steps in zip(axes[:, 0], outcomes, rows, strict=True):
        _draw(axis, question, outcome, steps)
    made.suptitle(textwrap.fill(title, 100), fontsize=11)
    made.savefig(path, dpi=120, bbox_inches="tight")


def bars(question: Question, outcome: Outcome) -> list[Bar]:
    """Settings, largest part first; those that are left in one bar; the frameworks."""
    means, halves, ranked = outcome.parts.mean, outcome.parts.half, outcome.ranked()
    own = ranked if len(ranked) <= SHOWN + 1 else ranked[:SHOWN]
    result = []
    for i in own:
        player = question.players[i]
        label = _label(player.name, f"{player.a} → {player.b}")
        result.append(Bar(label, float(means[i]), float(halves[i])))
    if rest := ranked[len(own) :]:
        result.append(Bar(f"{len(rest)} other settings", *outcome.together(rest)))
    if not question.same_framework:
        names = f"{question.a.backend.name} → {question.b.backend.name}"
        result.append(Bar(f"the frameworks\n{names}", *outcome.framework))
    return result


def _label(name: str, values: str) -> str:
    """A setting and its values, in lines that leave room for the bars."""
    width, most = LABEL
    lines = [*textwrap.wrap(name, width), *textwrap.wrap(values, width)]
    return "\n".join(lines if len(lines) <= most else [*lines[: most - 1], lines[most - 1] + " …"])


def _draw(axis: Any, question: Question, outcome: Outcome, steps: list[Bar]) -> None:
    """Horizontal, so that long names can be read: A on top, B at the bottom."""
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
    ends = [f"A: {side(question.a)}", f"B: {side(question.b)}"]
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
    """With its own exponent: a common one would stand in the axis' label."""
    low, high = axis.get_xlim()
    return number(x if abs(x) > 1e-6 * (high - low) else 0.0)


def _write_values(axis: Any, outcome: Outcome, steps: list[Bar]) -> None:
    """In two columns beside the axes, as wide as their longest text."""
    first, last = apart(float(outcome.a.mean()), float(outcome.b.mean()))
    rows = [(first, "")]
    for step in steps:
        share = percent(outcome.share(step.part), outcome.share_half(step.half))
        noise = abs(step.part) <= step.half
        rows.append((plus_minus(step.part, step.half), f"({share})" if noise else share))
    rows.append((last, ""))
    at = 0.0  # points right of the axes
    for texts in zip(*rows, strict=True):
        at += 12 + CHARACTER * max(map(len, texts))
        for row, text in enumerate(texts):
            axis.annotate(
                text,
                (1, row),
                (at, 0),
                xycoords=axis.get_yaxis_transform(),
                textcoords="offset points",
                fontsize=SIZE,
                ha="right",
                va="center",
            )
