"""Measure whole sweeps by what carries them out: one process, worker processes, Ray.

Every repeat runs each way once, in alternating order, so that a slower phase of the machine affects
all. Times are of the whole program, until MLflow has all of it; Ray's have its cluster's start.
"""

import argparse
from dataclasses import asdict
from typing import Any

from benchmarks.common import bars, report
from benchmarks.common.programs import seconds_of
from benchmarks.common.progress import Progress
from benchmarks.common.report import Sheet
from benchmarks.common.timing import spread
from harness.console.terminal import console

Row = dict[str, Any]

# As small as in a teaching notebook, and long enough that training dominates.
SWEEPS = {
    "tiny": (
        *("task=sum,next_value,multi_step,binary", "task.samples=130", "trainer.batch_size=8"),
        *("trainer.epochs=20", "seed=range(16)"),
    ),
    "medium": (
        *("task=sum", "task.samples=320", "task.length=50", "model.units=128"),
        *("trainer.epochs=100", "seed=range(32)"),
    ),
}
SHORT = ("task=sum", "task.samples=40", "trainer.epochs=2", "seed=range(2)")
WAYS = {
    "1": ("hydra.launcher.workers=1",),
    "2": ("hydra.launcher.workers=2",),
    "auto": (),
    "ray": ("hydra/launcher=ray",),
}


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `workers`; return the exit code."""
    sizes = {"short": SHORT} if options.short else SWEEPS
    ways = {"1": WAYS["1"], "2": WAYS["2"]} if options.short else WAYS
    rows: list[Row] = []
    with Progress() as progress:
        for size, words in sizes.items():
            for framework in options.frameworks:
                sweep = ("-m", "harness", "-m", f"backend={framework}", *words)
                name = f"{framework}, {size}"
                rows += _rows(name, (*sweep, "tracking.wait_seconds=1e6"), ways, options, progress)
    settings = {"repeats": options.repeats, "sweeps": sizes, "threads": 1}
    results = report.document("workers", command, settings) | {"rows": rows}
    sheets, notes = [_sheet(rows, list(ways))], _notes(rows)
    folder, screen = report.new_folder(options.results), console()
    gains = {row["name"]: row["gain"] for row in rows if row["gain"] and row["way"] == "2"}
    bars.draw(folder / "benchmark.png", gains, "times as fast with two workers as in one process")
    report.save(folder, results, sheets, notes)
    report.show(sheets, notes, screen)
    report.say_where(folder, "python -m benchmarks sweep", screen)
    return 1 if any(row["error"] for row in rows) else 0


def _rows(
    name: str,
    words: tuple[str, ...],
    ways: dict[str, tuple[str, ...]],
    options: argparse.Namespace,
    progress: Progress,
) -> list[Row]:
    """Return a row for each way, with its seconds and how many times as fast as one process."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    errors = dict.fromkeys(ways, "")
    for done in range(options.repeats):
        order = list(ways) if done % 2 == 0 else list(reversed(ways))
        for way in order:
            progress.say("workers", f"{name}, {way}, repeat {done + 1} of {options.repeats}")
            try:
                seconds[way].append(seconds_of([*words, *ways[way]]))
            except RuntimeError as error:
                errors[way] = str(error)
    return [_row(name, way, seconds["1"], seconds[way], errors[way]) for way in ways]


def _row(name: str, way: str, one: list[float], these: list[float], error: str) -> Row:
    row: Row = {"name": name, "way": way, "error": error, "s": None, "gain": None}
    if error or len(one) != len(these):
        return row
    gains = [a / b for a, b in zip(one, these, strict=True)]
    return row | {"s": asdict(spread(these)), "gain": asdict(spread(gains))}


def _sheet(rows: list[Row], ways: list[str]) -> Sheet:
    columns = ["sweep"]
    for way in ways:
        columns.append(f"{way},\nseconds")
        columns += [f"{way},\ntimes as\nfast"] if way != "1" else []
    sheet = Sheet("sweeps by workers", columns, words=1)
    for name in dict.fromkeys(row["name"] for row in rows):
        cells = [name]
        for row in (row for row in rows if row["name"] == name):
            failed = row["s"] is None
            cells.append("failed" if failed else f"{row['s']['median']:.1f}")
            if row["way"] != "1":
                cells.append("" if failed else f"{row['gain']['median']:.2f}")
        sheet.rows.append(cells)
    return sheet


def _notes(rows: list[Row]) -> list[str]:
    return [
        "times as fast: as one process, in the same repeat; medians of the repeats.",
        "auto: the number of workers that the harness chooses. ray: with its cluster's start.",
        *[f"failed: {r['name']}, {r['way']}: {r['error']}" for r in rows if r["error"]],
    ]
