"""The tables of `steps`: one per network, with the harness before its peers in each framework."""

from typing import Any

from benchmarks.common.report import Sheet
from benchmarks.steps.measure import same_network

Row = dict[str, Any]

COLUMNS = [
    "framework",
    "contestant",
    "replicas",
    "µs per step\nand replica",
    "quartiles",
    "ratio",
    "first\nepoch, s",
    "peak\nmemory, MB",
    "of matrix\nproduct",
]
WORDS = 2
NOTES = [
    "µs: median over the repeats; with several replicas, that of a step divided by their number.",
    "ratio: a peer's time over the harness' (first row of the framework); for several replicas, "
    "that of one alone over theirs. Above 1, the harness is faster.",
    "first epoch: building, measuring kernels, compiling and training one; not part of the µs. The "
    "first network of a process also pays for what its framework sets up once.",
    "products alone: a step's matrix products in NumPy, in their order, without anything else.",
    "of matrix product: operations per second of the step's matrix products, as a fraction of "
    "NumPy's float32 product of 1024 × 1024 in the same process.",
]
MEMORY = "peak memory: of a process of its own, beyond what its imports took."
MEGA = 1e6


def sheets(rows: list[Row]) -> list[Sheet]:
    """Return a table for each network."""
    by_network: dict[tuple[str, str], Sheet] = {}
    for row in rows:
        key = (row["size"], row["cell"])
        if key not in by_network:
            about = f"{row['units']} units, {row['length']} steps, batch {row['batch']}"
            by_network[key] = Sheet(f"{row['size']}, {row['cell']}: {about}", COLUMNS, WORDS)
        if row["quoted"]:
            by_network[key].rows.append(_cells(row, rows))
    return list(by_network.values())


def notes(rows: list[Row], left_out: list[str]) -> list[str]:
    """Return the notes: how to read the tables, what is left out, and what failed."""
    memory = [MEMORY] if any("memory_bytes" in row for row in rows) else []
    failed = [
        f"failed: {row['framework']}, {row['size']}, {row['cell']}, {row['name']}: {row['error']}"
        for row in rows
        if row["error"]
    ]
    return [*NOTES, *memory, *[f"left out: {line}" for line in left_out], *failed]


def _cells(row: Row, rows: list[Row]) -> list[str]:
    label = row["label"]
    if row["best_of"]:
        tried = [r for r in same_network(row, rows) if r["best_of"] == row["best_of"]]
        label += f" (best of {len(tried)})" if len(tried) > 1 else ""
    names = [row["framework"], label, str(row["replicas"])]
    if "us" not in row:
        return [*names, "failed", "", "", "", "", ""]
    us, ratio, memory = row["us"], _ratio(row, rows), row.get("memory_bytes")
    return [
        *names,
        digits(us["median"]),
        f"{digits(us['low'])}–{digits(us['high'])}",
        "" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}",
        f"{row['first_epoch_s']:.2f}",
        "" if memory is None else f"{memory / MEGA:.0f}",
        f"{100 * row['fraction']:.2g} %",
    ]


def _ratio(row: Row, rows: list[Row]) -> float | None:
    if row["replicas"] > 1:
        return row["ratios"].get(row["label"])
    ours = [r for r in same_network(row, rows) if r["ours"] and r["replicas"] == 1]
    return ours[0]["ratios"].get(row["name"]) if ours else None


def digits(value: float) -> str:
    """Format a value with three digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
