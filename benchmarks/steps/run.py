"""Carry out the verb `steps`, from options to files."""

import argparse

from benchmarks.common import cases, report
from benchmarks.common.timing import spread
from benchmarks.common.worker import Job
from benchmarks.steps import picture, table
from benchmarks.steps.measure import Row, measure
from harness.console.terminal import console

LEAST = 0.1  # seconds that one repeat times at least


def run(options: argparse.Namespace, command: str) -> int:
    """Measure all networks and write the results; return the exit code."""
    trained = cases.cases(options.sizes, options.cells, options.replicas, options.short)
    settings = {
        "kernels": options.kernels,
        "threads": options.threads,
        "repeats": options.repeats,
        "least": 0.0 if options.short else LEAST,
    }
    # A process for each size: a framework's threads are fixed by the first of its networks.
    jobs = [
        Job(name, [case for case in trained if case.size == size], peers="all", **settings)
        for name in options.frameworks
        for size in options.sizes
    ]
    rows = measure(jobs, options.memory)
    left_out = cases.left_out(options.sizes, options.replicas)
    settings["matrix product, GFLOP/s"] = _speed(rows)
    results = report.document("steps", command, settings) | {"left_out": left_out, "rows": rows}
    sheets, notes = table.sheets(rows), table.notes(rows, left_out)
    folder, screen = report.new_folder(options.results), console()
    report.save(folder, results, sheets, notes)
    picture.draw(folder / "benchmark.png", rows)
    report.show(sheets, notes, screen)
    following = "python -m benchmarks" + ("" if options.short else " scaling")
    report.say_where(folder, following, screen)
    return 1 if any(row["error"] for row in rows) else 0


def _speed(rows: list[Row]) -> float | None:
    """Return the median speed of the matrix product over all processes, in GFLOP/s."""
    speeds = [row["matrix_gflops"] for row in rows if "us" in row]
    return round(spread(speeds).median, 1) if speeds else None
