"""Part 3: µs per step and replica on the device, of our kernels and of what is written by hand."""

import argparse

from benchmarks.common.cases import cases
from benchmarks.common.report import Sheet
from benchmarks.gpu.job import Piece, Row
from benchmarks.gpu.speed_worker import HAND
from benchmarks.gpu.work import Work
from benchmarks.steps.table import digits
from harness.console.command_line import counted

REPLICAS = [1, 64, 1024]
DOUBLED = [2**power for power in range(11, 21)]  # until one fails
HANDS = {"torch": "nn.RNN, nn.LSTM, nn.GRU by hand", "jax": "jitted loop by hand"}
KERNELS = {"torch": ["modules", "stacked", "graphed"], "jax": ["scan"]}
# To compile or to unroll 10 time steps takes up to half a minute, and 50 minutes.
OF_TINY = {"torch": "compiled", "jax": "unrolled"}


def pieces(framework: str, options: argparse.Namespace) -> list[Piece]:
    """Return the trainings of a framework, in order of importance."""
    kernels, sizes = KERNELS[framework], options.sizes
    numbers = [1, 8] if options.short else REPLICAS
    found = _of(sizes, [HAND, *kernels], numbers[:1], options)
    found += _of(sizes, kernels, numbers[1:], options)
    if options.short:
        return found
    found += _of([s for s in sizes if s == "tiny"], [OF_TINY[framework]], numbers, options)
    return found + _of(sizes, kernels, DOUBLED, options)


def _of(
    sizes: list[str], kernels: list[str], numbers: list[int], options: argparse.Namespace
) -> list[Piece]:
    """Return the trainings of each network and kernel, those of few replicas first."""
    trained = cases(sizes, options.cells, numbers, options.short, limited=False)
    ordered = sorted(trained, key=lambda case: case.replicas)
    return [{"kernel": kernel} | case.facts() for case in ordered for kernel in kernels]


def sheets(rows: list[Row], _: str) -> list[Sheet]:
    """Return a table for each network, with a line for each kernel."""
    timed = [row for row in rows if "us" in row]
    networks = dict.fromkeys((row["size"], row["cell"]) for row in timed)
    return [_sheet([r for r in timed if (r["size"], r["cell"]) == key]) for key in networks]


def _sheet(rows: list[Row]) -> Sheet:
    one, numbers = rows[0], sorted({row["replicas"] for row in rows})
    about = f"{one['units']} units, {one['length']} steps, batch {one['batch']}"
    title = f"{one['size']}, {one['cell']}: {about}: µs per step and replica"
    sheet = Sheet(title, ["kernel", *(counted(number, "replicas") for number in numbers)], words=1)
    times = {(r["framework"], r["kernel"], r["replicas"]): r["us"]["median"] for r in rows}
    for framework, kernel in dict.fromkeys(key[:2] for key in times):
        name = f"{framework}: {HANDS[framework] if kernel == HAND else kernel}"
        found = [times.get((framework, kernel, number)) for number in numbers]
        sheet.rows.append([name, *("" if us is None else digits(us) for us in found)])
    return sheet


def notes(rows: list[Row], _: str) -> list[str]:
    """Return what was left out or failed; trainings of one reason share a line."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for row in (row for row in rows if "us" not in row):
        told = f"failed: {row['error']}" if row.get("error") else f"left out: {row['left_out']}"
        names = ("framework", "kernel", "size", "cell")
        training = ", ".join(row[name] for name in names if name in row)
        numbers.setdefault((training, told), []).append(row.get("replicas", 0))
    return [f"{training}{_range(n)}: {told}" for (training, told), n in numbers.items()]


def _range(numbers: list[int]) -> str:
    """Return the numbers of replicas in words; 0 is that of no training."""
    low, high = min(numbers), max(numbers)
    if low == high:
        return f", {counted(low, 'replicas')}" if low else ""
    return f", {low:,} to {high:,} replicas"


def failed(rows: list[Row], _: str) -> list[str]:
    """Return what failed with fewer replicas than may fill the memory."""
    return [
        f"{row['framework']}, {row['kernel']}, {row['size']}, {row['cell']}: {row['error']}"
        for row in rows
        if row.get("error") and row["replicas"] < max(REPLICAS)
    ]


WORK = Work(
    weights={"torch": 3.0, "jax": 2.0},
    worker="benchmarks.gpu.speed_worker",
    each=40.0,
    pieces=pieces,
    sheets=sheets,
    notes=notes,
    failed=failed,
)
