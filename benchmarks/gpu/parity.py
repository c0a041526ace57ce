"""Part 2: whether each backend on the device computes what NumPy does, without TF32 and with it.

In float32 with TF32 the errors must be beyond the control band: a comparison that saw nothing there
would be none. On float64 TF32 does not act.
"""

import argparse

from benchmarks.common.report import Sheet
from benchmarks.gpu.job import Piece, Row
from benchmarks.gpu.work import Work

NETWORK = {"model.units": 64, "task.length": 20, "task.samples": 400, "trainer.batch_size": 32}
SHORT = {"model.units": 8, "task.length": 4, "task.samples": 50, "trainer.batch_size": 8}
KINDS = (("float32", "off"), ("float64", "off"), ("float32", "on"), ("float64", "on"))
COLUMNS = ["backend", "cell", "precision", "TF32", "worst stage", "error", "limit", "verdict"]
SETTINGS = ("framework", "model", "precision", "semantics.tf32", "stage")


def pieces(_: str, options: argparse.Namespace) -> list[Piece]:
    """Return the settings of each comparison, in order of importance."""
    network = SHORT if options.short else NETWORK
    return [
        {"model": cell, "precision": precision, "semantics.tf32": tf32, **network}
        for precision, tf32 in KINDS
        for cell in options.cells
    ]


def verdict(row: Row, device: str) -> str:
    """Return a row's verdict, in words."""
    if "left_out" in row:
        return f"left out: {row['left_out']}"
    if "error" in row:
        return f"failed: {row['error']}"
    acts = row["semantics.tf32"] == "on" and row["precision"] == "float32" and device == "cuda"
    if row["first"] is None:
        return "agrees: TF32 made no difference" if acts else "agrees"
    return "beyond the band, as TF32 is" if acts else f"differs: {row['first']}"


def sheets(rows: list[Row], device: str) -> list[Sheet]:
    """Return a table with a line for each comparison."""
    table = Sheet("parity with NumPy", COLUMNS, words=5)
    for row in rows:
        names = [str(row.get(name, "")) for name in SETTINGS]
        numbers = [row.get(name) for name in ("relative_error", "limit")]
        cells = ["" if number is None else f"{number:.1e}" for number in numbers]
        table.rows.append([*names, *cells, verdict(row, device)])
    return [table]


def notes(_: list[Row], device: str) -> list[str]:
    """Return how to read the verdicts."""
    if device == "cpu":
        return ["on a CPU TF32 does not act."]
    return ["float32 with TF32: the limit is the control band, and TF32's three digits exceed it."]


def failed(rows: list[Row], device: str) -> list[str]:
    """Return what failed, or differed where TF32 does not act."""
    return [
        f"{', '.join(str(row.get(name, '')) for name in SETTINGS)}: {told}"
        for row in rows
        if (told := verdict(row, device)).startswith(("failed", "differs"))
    ]


WORK = Work(
    weights={"torch": 1.0, "jax": 1.0, "keras": 1.0},
    worker="benchmarks.gpu.parity_worker",
    each=90.0,
    pieces=pieces,
    sheets=sheets,
    notes=notes,
    failed=failed,
)
