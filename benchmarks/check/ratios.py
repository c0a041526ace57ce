"""The ratios that are checked: what a user of a framework gains by the harness. Higher is better.

    by hand         time of the fastest way by hand over ours, for one replica
    N replicas      our time for one replica over ours, per replica, for N of them
    products alone  time of a step's matrix products in NumPy over NumPy's whole step: below 1

A ratio of two times that were measured in turn holds on a busy machine, where a time does not.
"""

from collections.abc import Iterable
from typing import Any

from benchmarks.common.cases import Case
from benchmarks.steps.measure import same_network

Row = dict[str, Any]

PRODUCTS = "products alone"
BY_HAND = "by hand"


def names_of(frameworks: Iterable[str], cases: Iterable[Case]) -> list[str]:
    """Return the names of all ratios, such as `torch, tiny, rnn: by hand`."""
    names: list[str] = []
    for framework in frameworks:
        for case in cases:
            network = f"{framework}, {case.size}, {case.cell}: "
            if case.replicas > 1:
                names.append(f"{network}{case.replicas} replicas")
                continue
            names.append(network + BY_HAND)
            names += [network + PRODUCTS] if framework == "numpy" else []
    return names


def ratios_of(rows: list[Row]) -> dict[str, float]:
    """Return the ratios by name; one of a contestant that failed is missing."""
    found: dict[str, float] = {}
    for alone in (row for row in rows if row["ours"] and row["replicas"] == 1 and "us" in row):
        network = f"{alone['framework']}, {alone['size']}, {alone['cell']}: "
        same = [row for row in same_network(alone, rows) if row is not alone]
        for row in same:
            ratio = row["us"]["median"] / alone["us"]["median"]
            if row["ours"]:
                found[f"{network}{row['replicas']} replicas"] = 1 / ratio
            elif row["label"] == PRODUCTS:
                found[network + PRODUCTS] = ratio
            else:
                found[network + BY_HAND] = min(ratio, found.get(network + BY_HAND, ratio))
    return found


def network_of(name: str) -> tuple[str, str, str]:
    """Return framework, size and cell of a ratio."""
    framework, size, cell = name.partition(":")[0].split(", ")
    return framework, size, cell
