"""Put the gap of two recordings into words, a table and files."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from harness.core.arrays import Array
from harness.system.durable_files import Content, write_files
from harness.why.recorded.gap import Gap
from harness.why.recorded.plot import draw_gap
from harness.why.recorded.settings import Sides
from harness.why.sentences import distinct, number, percent
from harness.why.shapley import Design

FORMAT = 1  # of why.json; counted up when a field changes its meaning


def inputs_line(inputs: Sequence[str]) -> str:
    """Return in one line in which inputs two recordings differ, which are part of the answer."""
    if not inputs:
        return "Both have the same initial weights, samples and order."
    return f"They differ in {', and in '.join(inputs)}: that is a part of the gap."


def price(sides: Sides, design: Design) -> str:
    """Return what is trained, in one line."""
    count, steps = len(design.coalitions), len(sides.case.losses)
    return f"{count:,} trainings of {steps:,} steps on A's weights, samples and order."


def sentences(sides: Sides, gap: Gap, inputs: Sequence[str]) -> list[str]:
    """Return the answer: which settings account for the gap of each measure."""
    if not sides.players:
        left = "the inputs above are all that differs" if inputs else "no difference"
        largest = number(float(np.abs(gap.b - gap.a).max()))
        return [f"No rule differs: {left}; the recorded losses are at most {largest} apart."]
    return [_sentence(sides, gap, name, steps) for name, steps in gap.measures.items()]


def _sentence(sides: Sides, gap: Gap, name: str, steps: slice) -> str:
    explained, means = _mean(gap.explained_b - gap.explained_a, steps), gap.parts[:, steps].mean(1)
    if not np.abs(means).max() > 0:
        return f"No gap in the {name}."
    ranked = np.argsort(-np.abs(means), kind="stable")
    shares = [
        f"{percent(means[n] / explained) if explained else number(means[n])} is "
        f"{sides.players[n].name}"
        for n in ranked
    ]
    return f"Of the gap of {number(explained)} by rules in the {name}, {', '.join(shares)}."


def table(sides: Sides, gap: Gap) -> pd.DataFrame:
    """Return a row for each setting, then the explained and the recorded gap and what is left."""
    names = list(gap.measures)
    rows = [
        {"setting": player.name, "A": player.a, "B": player.b}
        | {name: _mean(part, steps) for name, steps in gap.measures.items()}
        for player, part in zip(sides.players, gap.parts, strict=True)
    ]
    explained, recorded = gap.explained_b - gap.explained_a, gap.b - gap.a
    for title, curve in (
        ("gap by rules", explained),
        ("recorded gap", recorded),
        ("left", recorded - explained),
    ):
        rows.append({"setting": title, "A": "", "B": ""} | _means(curve, gap))
    return pd.DataFrame(rows, columns=["setting", "A", "B", *names])


def terminal_table(sides: Sides, gap: Gap) -> Table:
    """Return the table as the terminal shows it."""
    result = Table(box=SIMPLE_HEAD, pad_edge=False)
    rows = table(sides, gap)
    for name in rows.columns:
        result.add_column(name, justify="right" if name in gap.measures else "left")
    for n, row in enumerate(rows.itertuples(index=False)):
        cells = [value if isinstance(value, str) else number(value) for value in row]
        result.add_row(*map(escape, cells), end_section=n == len(sides.players) - 1)
    return result


def footnotes(sides: Sides, gap: Gap, inputs: Sequence[str]) -> list[str]:
    """Return how the numbers were made, and what could not be tried."""
    rest = " and ".join(["rounding", *(["the inputs"] if inputs else [])])
    levels = []
    for name, steps in gap.measures.items():
        a, b = distinct(_mean(gap.a, steps), _mean(gap.b, steps))
        levels.append(f"{name}: A {a}, B {b}")
    lines = [
        f"Recorded {'; '.join(levels)}.",
        "Parts are Shapley values of trainings by NumPy on A's initial weights, samples and order, "
        f"{gap.method}. What is left is {rest}.",
    ]
    return lines + [
        f"{p.name} ({p.a}, {p.b}) differs, too, but A's weights cannot have B's."
        for p in sides.impossible
    ]


def write(folder: Path, sides: Sides, gap: Gap, inputs: Sequence[str], command: str) -> None:
    """Write `why.json`, `why.csv`, the curves and the picture."""
    text = sentences(sides, gap, inputs)
    rows = table(sides, gap)
    facts = {
        "format": FORMAT,
        "command": command,
        "inputs": list(inputs),
        "method": gap.method,
        "sentences": text,
        "parts": rows.to_dict("records"),
    }
    files: dict[str, Content] = {
        "why.json": json.dumps(facts, indent=2, ensure_ascii=False),
        "why.csv": partial(rows.to_csv, index=False),
        "curves.csv": partial(_curves(sides, gap).to_csv, index=False),
        "why.png": lambda path: draw_gap(path, sides, gap, text[0]),
    }
    write_files({folder / name: content for name, content in files.items()})


def _curves(sides: Sides, gap: Gap) -> pd.DataFrame:
    """Return all losses and parts by step."""
    columns = {"step": np.arange(len(gap.a)) + 1, "a": gap.a, "b": gap.b}
    columns |= {"a_by_rules": gap.explained_a, "b_by_rules": gap.explained_b}
    parts = {player.name: part for player, part in zip(sides.players, gap.parts, strict=True)}
    return pd.DataFrame(columns | parts)


def _means(curve: Array, gap: Gap) -> dict[str, float]:
    return {name: _mean(curve, steps) for name, steps in gap.measures.items()}


def _mean(curve: Array, steps: slice) -> float:
    return float(curve[steps].mean())
