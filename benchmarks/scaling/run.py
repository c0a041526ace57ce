"""Measure how time per step grows with length, batch and replicas, and memory with length.

One of them is varied at a time, the others stay as in `BASE`. Growth is given as the exponent of
the power law through the largest half of the values, where fixed costs count least: 1 is linear.
"""

import argparse
import math
from dataclasses import replace
from typing import Any

from benchmarks.common import report
from benchmarks.common.cases import Case
from benchmarks.common.report import Sheet
from benchmarks.common.worker import Job
from benchmarks.scaling import picture
from benchmarks.steps.measure import measure
from benchmarks.steps.table import MEGA, digits
from harness.console.terminal import console

Row = dict[str, Any]
Curve = dict[str, Any]

BASE = Case("", "", units=64, length=50, batch=128, steps=4)
VALUES = {
    "length": [25, 50, 100, 200, 400, 800],
    "batch": [16, 32, 64, 128, 256, 512],
    "replicas": [1, 2, 4, 8, 16, 32],
}
SHORT_BASE = replace(BASE, length=10, batch=8)
SHORT = {"length": [10, 20], "batch": [8, 16], "replicas": [1, 2]}
LEAST = 0.1  # seconds that one repeat times at least
UNITS = {"us": "µs per step", "memory_bytes": "peak memory, MB"}


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `scaling`; return the exit code."""
    values = SHORT if options.short else VALUES
    rows: list[Row] = []
    for varied, chosen in values.items():
        jobs = [_job(name, varied, chosen, options) for name in options.frameworks]
        rows += measure(jobs, options.memory and varied == "length")
    curves = [curve for varied in values for curve in _curves(varied, rows)]
    settings = {name: getattr(options, name) for name in ("kernels", "threads", "repeats")}
    base = SHORT_BASE if options.short else BASE
    settings["base"] = f"{base.units} units, {base.length} time steps, batch {base.batch}"
    results = report.document("scaling", command, settings) | {"rows": rows, "curves": curves}
    sheets, notes = _sheets(curves), _notes(rows, settings["base"])
    folder, screen = report.new_folder(options.results), console()
    picture.draw(folder / "benchmark.png", curves)
    report.save(folder, results, sheets, notes)
    report.show(sheets, notes, screen)
    report.say_where(folder, "python -m benchmarks notebook", screen)
    return 1 if any(row["error"] for row in rows) else 0


def _job(framework: str, varied: str, values: list[int], options: argparse.Namespace) -> Job:
    base = SHORT_BASE if options.short else BASE
    cases = [
        replace(base, size=f"{varied} {value}", cell=cell, **{varied: value})
        for cell in options.cells
        for value in values
    ]
    least = 0.0 if options.short else LEAST
    return Job(
        framework, cases, options.kernels, options.threads, options.repeats, least, peers="none"
    )


def _curves(varied: str, rows: list[Row]) -> list[Curve]:
    """Return a curve for each contestant and cell, and one of its memory where measured."""
    by_name: dict[tuple[str, ...], Curve] = {}
    for row in rows:
        if not row["size"].startswith(varied) or "us" not in row:
            continue
        per_step = row["us"]["median"] * row["replicas"]
        for kind, value in (("us", per_step), ("memory_bytes", row.get("memory_bytes"))):
            if value is None:
                continue
            names = {key: row[key] for key in ("framework", "label", "cell")}
            about = {"varied": varied, "kind": kind, **names}
            curve = by_name.setdefault(tuple(about.values()), about | {"at": [], "values": []})
            curve["at"].append(row[varied])
            curve["values"].append(value)
    curves = sorted(by_name.values(), key=lambda curve: curve["kind"], reverse=True)  # time first
    return [curve | {"exponent": exponent(curve["at"], curve["values"])} for curve in curves]


def exponent(at: list[int], values: list[float]) -> float | None:
    """Return the exponent of the power law through the largest half of the points, at least two.

    It is the slope of the least-squares line through the logarithms. None where a value is 0, such
    as memory below that of the imports.
    """
    count = max(2, len(at) // 2)
    if len(at) < 2 or min(values[-count:]) <= 0:
        return None
    x, y = ([math.log(v) for v in part[-count:]] for part in (at, values))
    mean_x, mean_y = sum(x) / count, sum(y) / count
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def _sheets(curves: list[Curve]) -> list[Sheet]:
    by_axis: dict[tuple[str, str], Sheet] = {}
    for curve in curves:
        key = (curve["varied"], curve["kind"])
        if key not in by_axis:
            columns = ["framework", "contestant", "cell", *map(str, curve["at"]), "exponent"]
            by_axis[key] = Sheet(f"{UNITS[key[1]]}, by {key[0]}", columns, words=3)
        scale = MEGA if curve["kind"] == "memory_bytes" else 1.0
        slope = curve["exponent"]
        cells = [curve["framework"], curve["label"], curve["cell"]]
        cells += [digits(value / scale) for value in curve["values"]]
        by_axis[key].rows.append([*cells, "" if slope is None else f"{slope:.2f}"])
    return list(by_axis.values())


def _notes(rows: list[Row], base: str) -> list[str]:
    failed = [f"failed: {r['framework']}, {r['name']}, {r['size']}: {r['error']}" for r in rows]
    failed = [line for line, row in zip(failed, rows, strict=True) if row["error"]]
    return [
        f"what is not varied: {base}, one replica; time is that of all replicas together.",
        "exponent: of the power law through the largest half of the values; 1 is linear growth, "
        "and a fixed part, as a framework's own memory, brings it below 1.",
        *failed,
    ]
