"""Time what trainer, journal, files, pictures and MLflow add to a run of some ten seconds."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.common.imports import python
from benchmarks.common.progress import Progress
from benchmarks.common.report import Sheet
from benchmarks.common.timing import Spread, spread
from benchmarks.overhead import picture
from harness.console.terminal import console

Row = dict[str, Any]

NETWORK = ("task=sum", "model.units=32", "task.length=10", "trainer.batch_size=8")
EPOCHS = {"numpy": 700, "torch": 100, "keras": 1000, "jax": 2500}  # some ten seconds on two cores


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `overhead`; return the exit code."""
    with Progress() as progress:
        rows = []
        for framework in options.frameworks:
            progress.say("overhead", framework)
            epochs = 2 if options.short else EPOCHS[framework]
            rows.append(_row(framework, epochs, options.repeats))
    settings = {"repeats": options.repeats, "network": " ".join(NETWORK), "threads": 1}
    results = report.document("overhead", command, settings) | {"rows": rows}
    notes = [f"failed: {row['name']}: {row['error']}" for row in rows if row["error"]]
    folder, screen = report.new_folder(options.results), console()
    picture.draw(folder / "benchmark.png", rows)
    report.save(folder, results, [_sheet(rows)], notes)
    report.show([_sheet(rows)], notes, screen)
    report.say_where(folder, "python -m benchmarks sweep", screen)
    return 1 if notes else 0


def _row(framework: str, epochs: int, repeats: int) -> Row:
    words = [*NETWORK, f"backend={framework}", f"trainer.epochs={epochs}"]
    row: Row = {"name": framework, "epochs": epochs, "error": ""}
    with tempfile.TemporaryDirectory() as scratch:
        done = python(["-m", "benchmarks.overhead.worker", str(repeats), *words], Path(scratch))
    if done.returncode:
        last_line = done.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        return row | {"error": f"exit code {done.returncode}: {last_line[0]}"}
    return row | json.loads(done.stdout.splitlines()[-1])


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
