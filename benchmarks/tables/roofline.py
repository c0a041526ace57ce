"""The least time of a step that the machine allows (the roofline of Williams et al. 2009).

It is the longer of two: operations over the speed of a large matrix product, and bytes over that of
a large copy. A network that stays in the caches moves fewer bytes, and may be faster than the copy.
"""

from benchmarks.common.report import Sheet
from benchmarks.steps.table import digits
from benchmarks.tables.measured import Measured, time_of

COLUMNS = [
    "network",
    "MFLOP of a step",
    "kB",
    "GFLOP/s of a product",
    "GB/s of a copy",
    "µs at least",
    "by",
    "our fastest, µs",
    "times that",
]


def sheet(files: list[Measured]) -> Sheet:
    """Return a line for each network of one replica, as far as the files have the speeds."""
    table = Sheet("The least time that the machine allows", COLUMNS, words=1)
    networks = {(r["size"], r["cell"]) for file in files for r in file.rows}
    for size, cell in sorted(networks):
        for file in files:
            line = _line(file, size, cell)
            if line:
                table.rows.append([f"{size}, {cell}", *line])
    return table


def _line(file: Measured, size: str, cell: str) -> list[str]:
    row = file.fastest(
        lambda r: (r["size"], r["cell"], r["replicas"]) == (size, cell, 1) and r["ours"]
    )
    if row is None or "copy_gbytes" not in row:
        return []
    products = row["operations"] / row["matrix_gflops"] / 1e3  # µs
    memory = row["bytes"] / row["copy_gbytes"] / 1e3
    least, ours = max(products, memory), time_of(row)
    return [
        digits(row["operations"] / 1e6),
        digits(row["bytes"] / 1e3),
        digits(row["matrix_gflops"]),
        digits(row["copy_gbytes"]),
        digits(least),
        "products" if products > memory else "memory",
        f"{digits(ours)} ({row['framework']})",
        digits(ours / least),
    ]
