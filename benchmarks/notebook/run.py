"""Time a training as small as in a teaching notebook, from its first epoch, in a new process.

So short a training ends before compiling pays, so the time per step (`benchmarks/steps`) says
little about it. Trainings of one epoch, in processes of their own, tell when the first one is done.
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.common import bars, report
from benchmarks.common.contestants import HARNESS
from benchmarks.common.programs import python
from benchmarks.common.progress import Progress
from benchmarks.common.report import Sheet
from benchmarks.common.timing import spread
from benchmarks.notebook.worker import CASE
from harness.console.terminal import console

Row = dict[str, Any]

EPOCHS = 10
TIMES = {"first_epoch_s": 1, "seconds": EPOCHS}  # of a row -> epochs of its trainings
PEER = {"numpy": "PyTorch loop", "torch": "PyTorch loop", "keras": "fit", "jax": "JAX loop"}


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `notebook`; return the exit code."""
    pairs = [(f, name) for f in options.frameworks for name in (HARNESS, PEER[f])]
    rows = [Row(framework=f, name=name, error="", **{t: [] for t in TIMES}) for f, name in pairs]
    with Progress() as progress:
        for done in range(options.repeats):  # in turn: a slower machine affects all alike
            progress.say("notebook", f"repeat {done + 1} of {options.repeats}")
            for row in rows:
                for times, epochs in TIMES.items():
                    _repeat(row, times, options.threads, epochs)
    about = f"{EPOCHS} epochs of {CASE.steps} updates; {CASE.cell}, {CASE.units} units, "
    about += f"{CASE.length} time steps, batch {CASE.batch}"
    settings = {"repeats": options.repeats, "threads": options.threads, "training": about}
    results = report.document("notebook", command, settings) | {"rows": rows}
    notes = ["imports are left out; what is compiled in the first epoch is not.", about]
    notes += [f"failed: {r['framework']}, {r['name']}: {r['error']}" for r in rows if r["error"]]
    folder, screen = report.new_folder(options.results), console()
    seconds = {f"{r['framework']}, {r['name']}": asdict(spread(r["seconds"])) for r in _timed(rows)}
    bars.draw(folder / "benchmark.png", seconds, "seconds of a training")
    report.save(folder, results, [_sheet(rows)], notes)
    report.show([_sheet(rows)], notes, screen)
    report.say_where(folder, "python -m benchmarks startup", screen)
    return 1 if any(row["error"] for row in rows) else 0


def _repeat(row: Row, times: str, threads: int, epochs: int) -> None:
    if row["error"]:
        return
    words = ["-m", "benchmarks.notebook.worker", row["framework"], row["name"]]
    words += [str(threads), str(epochs)]
    with tempfile.TemporaryDirectory() as scratch:
        done = python(words, Path(scratch))
    if done.returncode:
        last_line = done.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
        row["error"] = f"exit code {done.returncode}: {last_line[0]}"
    else:
        row[times].append(float(done.stdout.splitlines()[-1]))


def _timed(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not row["error"]]


def _sheet(rows: list[Row]) -> Sheet:
    columns = ["framework", "contestant", "first\nepoch, s", "seconds", "quartiles"]
    columns.append("by hand /\nharness")
    sheet = Sheet("seconds of a training, first epoch included", columns, words=2)
    medians = {(r["framework"], r["name"]): spread(r["seconds"]).median for r in _timed(rows)}
    for row in rows:
        framework, name = row["framework"], row["name"]
        if row["error"]:
            sheet.rows.append([framework, name, "failed", "", "", ""])
            continue
        s, peer = spread(row["seconds"]), medians.get((framework, PEER[framework]))
        ratio = f"{peer / s.median:.1f}" if name == HARNESS and peer else ""
        first = f"{spread(row['first_epoch_s']).median:.2f}"
        cells = [first, f"{s.median:.2f}", f"{s.low:.2f}–{s.high:.2f}", ratio]
        sheet.rows.append([framework, name, *cells])
    return sheet
