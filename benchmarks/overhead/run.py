"""Time what trainer, journal, files, pictures and MLflow add to a run of some ten seconds.

And what they take of an epoch, and whether an epoch of a long run costs the same at its end as at
its start.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.common.programs import python
from benchmarks.common.progress import Progress
from benchmarks.common.report import Sheet
from benchmarks.common.timing import Spread, spread
from benchmarks.overhead import picture
from harness.console.terminal import console

Row = dict[str, Any]

NETWORK = ("task=sum", "model.units=32", "task.length=10", "trainer.batch_size=8")
# The smallest network: next to nothing is computed, so an epoch is as short as it can be.
UNIT = ("task=sum", "model.units=1", "task.length=2", "task.samples=20", "trainer.batch_size=20")
LONG = 20_000  # epochs
EPOCHS = {"numpy": 700, "torch": 100, "keras": 1000, "jax": 2500}  # some ten seconds on two cores


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `overhead`; return the exit code."""
    with Progress() as progress:
        rows = []
        for framework in options.frameworks:
            progress.say("overhead", framework)
            epochs = 2 if options.short else EPOCHS[framework]
            rows.append(_row(framework, epochs, options.repeats))
        progress.say("overhead", "a long run")
        long = _long(LONG // 100 if options.short else LONG)
        costs = []
        for framework in options.frameworks:
            progress.say("overhead", f"epochs of {framework}")
            costs.append(_epoch_cost(framework, 20 if options.short else 2000))
    settings = {"repeats": options.repeats, "network": " ".join(NETWORK), "threads": 1}
    results = report.document("overhead", command, settings) | {
        "rows": rows,
        "epochs": costs,
        "long_run": long,
    }
    sheets = [_sheet(rows), _epoch_sheet(costs), _long_sheet(long)]
    measured = (*rows, *costs, long)
    notes = [f"failed: {row['name']}: {row['error']}" for row in measured if row["error"]]
    folder, screen = report.new_folder(options.results), console()
    picture.draw(folder / "benchmark.png", rows)
    report.save(folder, results, sheets, notes)
    report.show(sheets, notes, screen)
    report.say_where(folder, "python -m benchmarks sweep", screen)
    return 1 if notes else 0


def _row(framework: str, epochs: int, repeats: int) -> Row:
    words = [*NETWORK, f"backend={framework}", f"trainer.epochs={epochs}"]
    row: Row = {"name": framework, "epochs": epochs}
    return row | _measured("benchmarks.overhead.worker", str(repeats), *words)


def _long(epochs: int) -> Row:
    words = ["task=sum", "task.samples=40", f"trainer.epochs={epochs}", "backend=numpy"]
    row: Row = {"name": "a long run", "epochs": epochs}
    return row | _measured("benchmarks.overhead.long_run", *words)


def _epoch_cost(framework: str, epochs: int) -> Row:
    words = [*UNIT, f"backend={framework}", f"trainer.epochs={epochs}"]
    row: Row = {"name": framework, "epochs": epochs}
    return row | _measured("benchmarks.overhead.epoch_cost", *words)


def _measured(module: str, *words: str) -> Row:
    """Return what a worker prints, or an error."""
    with tempfile.TemporaryDirectory() as scratch:
        done = python(["-m", module, *words], Path(scratch))
    if done.returncode:
        last_line = done.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        return {"error": f"exit code {done.returncode}: {last_line[0]}"}
    return {"error": "", **json.loads(done.stdout.splitlines()[-1])}


def _epoch_sheet(rows: list[Row]) -> Sheet:
    columns = ["backend", "ms per epoch"]
    sheet = Sheet("an epoch beyond train_epoch and predict, of one unit", columns, words=1)
    for row in rows:
        cost = "failed" if row["error"] else f"{row['us_per_epoch'] / 1e3:.3f}"
        sheet.rows.append([row["name"], cost])
    return sheet


def _long_sheet(row: Row) -> Sheet:
    columns = ["tenth of the run", "µs per epoch", "memory, MB"]
    sheet = Sheet(f"a run of {row['epochs']:,} epochs, numpy", columns, words=1)
    if row["error"]:
        sheet.rows.append(["failed", "", ""])
        return sheet
    for name, part in (("second", row["start"]), ("last", row["end"])):
        memory = "" if part["mb"] is None else f"{part['mb']:.1f}"
        sheet.rows.append([name, f"{part['us_per_epoch']:.0f}", memory])
    return sheet


def _sheet(rows: list[Row]) -> Sheet:
    columns = ["backend", "epochs", "training\nalone, s", "whole\nrun, s", "added, s", "added, %"]
    sheet = Sheet("seconds of a run, and of its training alone", columns, words=1)
    for row in rows:
        if row["error"]:
            sheet.rows.append([row["name"], str(row["epochs"]), "failed", "", "", ""])
            continue
        alone, added = spread(row["alone"]).median, added_seconds(row).median
        numbers = [f"{alone:.2f}", f"{spread(row['whole']).median:.2f}", f"{added:.2f}"]
        share = f"{100 * added / alone:.1f}"
        sheet.rows.append([row["name"], str(row["epochs"]), *numbers, share])
    return sheet


def added_seconds(row: Row) -> Spread:
    """Return the spread of the added seconds of the repeats.

    In a repeat, the training alone and the whole run follow each other.
    """
    return spread([b - a for a, b in zip(row["alone"], row["whole"], strict=True)])
