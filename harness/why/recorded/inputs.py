"""Compare what two recorded trainings were given: network, initial weights, samples, their order.

Numbers are equal if they are so in the coarser precision of the two.
"""

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import acting_weights
from harness.identify.case import Case

NETWORK = ("cell", "features", "units", "layers", "head", "outputs")


def differing_inputs(a: Case, b: Case) -> list[str]:
    """Return in which of their inputs two trainings differ, in words; none if in no one."""
    if networks := [f"{name} {one}, {other}" for name, one, other in _networks(a, b)]:
        return [f"the network ({'; '.join(networks)})"]
    precision = "float32" if "float32" in (a.precision, b.precision) else "float64"
    found = []
    if weights := _differing_weights(a, b, precision):
        found.append(f"the initial weights ({', '.join(weights)})")
    steps = min(len(a.batches), len(b.batches))
    (first, all_first), (second, all_second) = (_rows(c, precision) for c in (a, b))
    if first != second:
        both = len(first & second)
        found.append(f"the samples ({len(first):,}, {len(second):,}; {both:,} in both)")
    else:
        orders = [_order(c, rows, steps) for c, rows in ((a, all_first), (b, all_second))]
        parts = [n for n, pair in enumerate(zip(*orders, strict=True)) if pair[0] != pair[1]]
        if parts:
            found.append(f"the order of the samples (from step {parts[0] + 1} on)")
    if len(a.batches) != len(b.batches):
        found.append(f"the number of steps ({len(a.batches):,}, {len(b.batches):,})")
    return found


def _networks(a: Case, b: Case) -> list[tuple[str, object, object]]:
    pairs = [(name, getattr(a.model, name), getattr(b.model, name)) for name in NETWORK]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _differing_weights(a: Case, b: Case, precision: str) -> list[str]:
    first, second = (_acting(case, precision) for case in (a, b))
    return [name for name in first if not np.array_equal(first[name], second[name])]


def _acting(case: Case, precision: str) -> dict[str, Array]:
    """Return the weights by name, with biases as they act: where two are added, their sum."""
    found = {name: values for name, values in case.params.items() if name.startswith("head.")}
    units = case.model.units
    for layer, (W, U, b) in enumerate(acting_weights(case.model, case.params)):
        joined = b.sum(axis=0)
        if case.model.cell == "gru":  # the candidate's biases act apart
            joined = np.concatenate([joined[: 2 * units], b[0, 2 * units :], b[1, 2 * units :]])
        names = ("kernel", "recurrent_kernel", "bias")
        found |= {f"rnn.{layer}.{n}": v for n, v in zip(names, (W, U, joined), strict=True)}
    return {name: values.astype(precision) for name, values in found.items()}


def _rows(case: Case, precision: str) -> tuple[set[bytes], list[bytes]]:
    """Return the contents of the samples that were used, and of all by their numbers."""
    y = next(iter(case.targets.values()))
    count = len(case.x)
    joined = np.concatenate([case.x.reshape(count, -1), y.reshape(count, -1)], axis=1)
    rows = [row.tobytes() for row in joined.astype(precision)]
    return {rows[n] for n in np.unique(np.concatenate(case.batches))}, rows


def _order(case: Case, rows: list[bytes], steps: int) -> list[list[bytes]]:
    return [sorted(rows[n] for n in batch) for batch in case.batches[:steps]]
