"""Compare ratios of times with expected ones: a check that nothing has become slower.

A ratio that is too low is measured again before it counts, since a busy machine disturbs it, and
the highest of the measurements is taken: no disturbance makes all contestants but one slower for
as long as a process lasts.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.check import expected, table
from benchmarks.check.ratios import names_of, network_of, ratios_of
from benchmarks.common import cases
from benchmarks.common.worker import Job
from benchmarks.steps.measure import measure
from harness.console.terminal import console

REPLICAS = {"tiny": 32, "medium": 8}
STEPS = {"tiny": 16, "medium": 4}  # of an epoch: a quarter of those elsewhere
LEAST = 0.02  # seconds that one repeat times at least
WRITTEN = 3  # measurements whose median is written as what is expected
AGAIN = 2  # further measurements of a ratio that is too low
FALL = 2 / 3  # of what is expected: a ratio below it is too low


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `check`; return the exit code."""
    path, chosen = options.expected or expected.FILE, trained(options)
    names = names_of(options.frameworks, chosen)
    if options.write:
        return _write(path, chosen, names, options, command)
    document = expected.read(path, names)
    least = {name: FALL * document["ratios"][name] for name in names}
    found = _ratios(chosen, options.frameworks, options)
    for _ in range(AGAIN):
        low = [name for name in names if found.get(name, 0.0) < least[name]]
        networks = {network_of(name) for name in low}
        for framework in dict.fromkeys(framework for framework, _, _ in networks):
            again = [case for case in chosen if (framework, case.size, case.cell) in networks]
            for name, ratio in _ratios(again, [framework], options).items():
                found[name] = max(ratio, found.get(name, 0.0))
    return table.show(document, least, found, path, console())


def trained(options: argparse.Namespace) -> list[cases.Case]:
    """Return each network with one replica and with several."""
    sizes = [size for size in options.sizes if size in REPLICAS]
    return [
        replace(case, steps=STEPS[size])
        for size in sizes
        for case in cases.cases([size], options.cells, [1, REPLICAS[size]], options.short)
    ]


def _ratios(
    chosen: list[cases.Case], frameworks: list[str], options: argparse.Namespace
) -> dict[str, float]:
    """Measure the ratios of some networks."""
    settings: dict[str, Any] = {
        "kernels": options.kernels,
        "threads": options.threads,
        "repeats": options.repeats,
        "least": 0.0 if options.short else LEAST,
    }
    jobs = [Job(f, chosen, peers="cheap", roofline=False, **settings) for f in frameworks]
    return ratios_of(measure(jobs, memory=False))


def _write(
    path: Path,
    chosen: list[cases.Case],
    names: list[str],
    options: argparse.Namespace,
    command: str,
) -> int:
    """Measure the ratios and write them to a new file; return the exit code."""
    expected.check_new(path)
    times = [_ratios(chosen, options.frameworks, options) for _ in range(WRITTEN)]
    missing = [name for name in names if not all(name in found for found in times)]
    if missing:
        console().print(f"failed: {'; '.join(missing)}; nothing is written", soft_wrap=True)
        return 1
    settings = {"threads": options.threads, "repeats": options.repeats}
    medians = {name: median(found[name] for found in times) for name in names}
    expected.write(path, medians, command, settings)
    console().print(f"  written  {path}\n  next     python -m benchmarks check", soft_wrap=True)
    return 0
