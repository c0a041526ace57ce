"""The row of a contestant: its time per step, and its share of what the machine can do."""

import math
from typing import Any

from benchmarks.common import machine
from benchmarks.common.contestants import Contestant
from benchmarks.common.timing import Timing, spread

Row = dict[str, Any]

MICRO = 1e6


def row_of(
    framework: str,
    of: Contestant,
    timing: Timing,
    product: Timing | None = None,
    copy: Timing | None = None,
) -> Row:
    """Return a contestant's row, for JSON.

    It has a time unless the contestant failed, and a share of the machine's speeds where the
    matrix `product` and the memory `copy` were timed.
    """
    case = of.case
    row = {"framework": framework, "label": of.label, "name": of.name, "ours": of.ours}
    row |= {"best_of": of.best_of, "error": timing.error, **case.facts()}
    if timing.error or not timing.seconds:
        return row
    per_step = spread(timing.seconds).scaled(MICRO / (case.steps * case.replicas))
    row["us"] = per_step  # per training step and replica
    row["epoch_s"] = timing.seconds
    row["epochs_per_repeat"] = timing.calls
    row["first_epoch_s"] = timing.first_s if math.isfinite(timing.first_s) else None
    row["gflops"] = case.operations / per_step["median"] / 1e3
    if product and copy and product.seconds and copy.seconds:
        row["matrix_gflops"] = machine.OPERATIONS / spread(product.seconds).median / 1e9
        row["copy_gbytes"] = machine.MOVED / spread(copy.seconds).median / 1e9
        row["fraction"] = row["gflops"] / row["matrix_gflops"]
    return row
