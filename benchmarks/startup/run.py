"""Time short commands of the harness, each in a new process: help, a refusal, a tiny tracked run.

The reference is the time to import two of the packages that the harness needs, and for a run its
framework as well. A run ends when MLflow has all of it. The first call of each command, which reads
files from the disk and creates MLflow's database, is reported separately.
"""

import argparse
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import bars, report
from benchmarks.common.imports import slowest
from benchmarks.common.programs import python
from benchmarks.common.progress import Progress
from benchmarks.common.report import Sheet
from benchmarks.common.timing import Epoch, Timing, interleave, spread
from harness.console.terminal import console
from harness.system.gpu import gpu_present

Row = dict[str, Any]

REFERENCE = "import hydra, mlflow"
HARNESS = ["-m", "harness"]
RUN = ["task=sum", "task.samples=130", "trainer.epochs=20", "trainer.batch_size=8"]
IMPORTS = {  # of a run with each backend
    "numpy": REFERENCE,
    "torch": f"{REFERENCE}, torch",
    "keras": f"{REFERENCE}, tensorflow",
    "jax": f"{REFERENCE}, jax",
}


def commands(frameworks: list[str], short: bool) -> dict[str, tuple[list[str], int]]:
    """Return each command's arguments for Python and its expected exit code, by name."""
    refused = ["task=summ"]
    if not short:
        refused += ["model.unit=32", "model.units=0", *([] if gpu_present() else ["device=cuda"])]
    return {
        REFERENCE: (["-c", REFERENCE], 0),
        "--help": ([*HARNESS, "--help"], 0),
        "diff --help": ([*HARNESS, "diff", "--help"], 0),
        "completion": ([*HARNESS, "-sc", "query=bash"], 0),
        **{f"refuse {word}": ([*HARNESS, word], 2) for word in refused},
        **{IMPORTS[name]: (["-c", IMPORTS[name]], 0) for name in frameworks},
        **{run_name(name): ([*HARNESS, *RUN, f"backend={name}"], 0) for name in frameworks},
    }


def run_name(framework: str) -> str:
    """Return the name of the tiny run with a backend."""
    return f"a tiny run, {framework}"


def _reference(name: str) -> str:
    """Return the imports with which a command is compared."""
    if name in IMPORTS.values():
        return name
    return next((words for f, words in IMPORTS.items() if name == run_name(f)), REFERENCE)


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `startup`; return the exit code."""
    chosen = commands(["numpy"] if options.short else options.frameworks, options.short)
    with tempfile.TemporaryDirectory() as scratch, Progress() as progress:
        folder = Path(scratch)
        timings = {
            name: Timing(partial(_call, words, code, folder))
            for name, (words, code) in chosen.items()
        }
        interleave(timings, options.repeats, 0.0, lambda text: progress.say("startup", text))
        progress.say("startup", "imports")
        imports = {name: slowest(words, folder) for name, (words, _) in chosen.items()}
    rows = _rows(timings, imports)
    settings = {"repeats": options.repeats}
    results = report.document("startup", command, settings) | {"rows": rows}
    sheets, notes = [_sheet(rows)], _notes(rows)
    folder, screen = report.new_folder(options.results), console()
    seconds = {row["name"]: row["s"] for row in rows if "s" in row}
    bars.draw(folder / "benchmark.png", seconds, "seconds from start to exit", REFERENCE)
    report.save(folder, results, sheets, notes)
    report.show(sheets, notes, screen)
    report.say_where(folder, "python -m benchmarks", screen)
    return 1 if any(row["error"] for row in rows) else 0


def _call(words: list[str], code: int, folder: Path) -> Epoch:
    """Return a function that runs the command, and raises unless it ends with `code`."""

    def call() -> None:
        done = python(words, folder)
        if done.returncode != code:
            last_line = done.stderr.strip().splitlines()[-1:] or ["it printed nothing"]
            raise RuntimeError(f"exit code {done.returncode}, not {code}: {last_line[0]}")

    return call


def _rows(timings: dict[str, Timing], imports: dict[str, list[dict[str, Any]]]) -> list[Row]:
    rows = []
    for name, timing in timings.items():
        row: Row = {"name": name, "error": timing.error, "imports": imports[name]}
        if timing.seconds and not timing.error:
            row |= {"first_s": timing.first_s, "seconds": timing.seconds}
            row["s"] = asdict(spread(timing.seconds))
            row["reference"] = _reference(name)
            if reference := timings[row["reference"]].seconds:
                row["ratio"] = row["s"]["median"] / spread(reference).median
        rows.append(row)
    return rows


def _sheet(rows: list[Row]) -> Sheet:
    columns = ["command", "seconds", "quartiles", "ratio to\nthe imports", "first call, s"]
    sheet = Sheet("seconds from start to exit", columns, words=1)
    for row in rows:
        if "s" not in row:
            sheet.rows.append([row["name"], "failed", "", "", ""])
            continue
        s, ratio = row["s"], row.get("ratio")
        cells = [f"{s['median']:.2f}", f"{s['low']:.2f}–{s['high']:.2f}"]
        cells += ["" if ratio is None else f"{ratio:.2f}", f"{row['first_s']:.2f}"]
        sheet.rows.append([row["name"], *cells])
    return sheet


def _notes(rows: list[Row]) -> list[str]:
    return [
        "first call: reads files from the disk; that of the run also sets up MLflow's database.",
        "the imports: hydra and mlflow, and for a run its framework.",
        "imports: the slowest ones of each command are in benchmark.json.",
        *[f"failed: {row['name']}: {row['error']}" for row in rows if row["error"]],
    ]
