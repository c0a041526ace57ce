"""A part of `gpu` that each framework does in a worker process of its own."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common.report import Sheet
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.carry_out import Save, Say, carry_out
from benchmarks.gpu.frameworks import FRAMEWORKS, missing
from benchmarks.gpu.job import Job, Piece, Row


@dataclass(frozen=True, kw_only=True)
class Work:
    """A part: its pieces, its worker, and how its rows are shown."""

    weights: dict[str, float]  # of the part's time, for each framework that takes part
    worker: str  # a module
    each: float  # seconds that one piece may take
    pieces: Callable[[str, argparse.Namespace], list[Piece]]
    sheets: Callable[[list[Row], str], list[Sheet]]
    notes: Callable[[list[Row], str], list[str]]
    failed: Callable[[list[Row], str], list[str]]

    def do(
        self, options: argparse.Namespace, seconds: float, scratch: Path, say: Say, save: Save
    ) -> None:
        """Let each framework do its pieces within `seconds`; pass all rows to `save`."""
        chosen = [f for f in FRAMEWORKS if f in self.weights and f in options.frameworks]
        reasons = {framework: missing(framework) for framework in chosen}
        there = [framework for framework in chosen if reasons[framework] is None]
        budget = Budget(seconds, {framework: self.weights[framework] for framework in there})
        for framework in chosen:
            if framework not in there:
                save({"framework": framework, "left_out": reasons[framework]})
                continue
            job = Job(
                framework=framework,
                device=options.device,
                pieces=self.pieces(framework, options),
                threads=options.threads,
                repeats=options.repeats,
                seconds=budget.share(framework),
                each=self.each,
            )
            carry_out(job, self.worker, scratch, say, save)
