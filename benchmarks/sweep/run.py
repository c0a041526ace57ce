"""Measure tracked runs per second: a sweep over tasks and seeds, against a loop written by hand.

Networks and trainings are as small as in a teaching notebook, so most of the time is not training.
Each way is timed twice, with few runs and with many. The rate is that of the additional runs, so
that start-up, imports and the creation of MLflow's database cancel out.
"""

import argparse
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.common import bars, report
from benchmarks.common.programs import seconds_of
from benchmarks.common.progress import Progress
from benchmarks.common.report import Sheet
from benchmarks.common.timing import Spread, spread
from harness.console.terminal import console

Row = dict[str, Any]

TASKS = ("sum", "next_value", "multi_step", "binary")
NETWORK = ("task.samples=130", "trainer.epochs=10", "trainer.batch_size=8")  # 13 updates an epoch
SEEDS, FEW_SEEDS = 64, 4  # per task; few for the slow ways
BY_HAND = "Keras fit, MLflow autolog"


@dataclass(frozen=True)
class Way:
    """A way to train `seeds` seeds of `tasks` tasks; `words` are Python's arguments."""

    name: str
    words: tuple[str, ...]
    tasks: int
    seeds: int

    def arguments(self, seeds: int) -> list[str]:
        """Return Python's arguments for that many seeds of each task."""
        if self.name == BY_HAND:
            return [*self.words, str(self.tasks * seeds)]
        return [*self.words, f"seed=range({seeds})"]


def ways(frameworks: list[str], short: bool) -> list[Way]:
    """Return the ways that are compared."""
    many, few = (2, 2) if short else (SEEDS, FEW_SEEDS)
    tasks = TASKS[:1] if short else TASKS
    sweep = ("-m", "harness", "-m", f"task={','.join(tasks)}", *NETWORK)
    sweep += ("tracking.wait_seconds=1e6",)  # until all of it is in MLflow
    count = len(tasks)
    chosen = [Way(name, (*sweep, f"backend={name}"), count, many) for name in frameworks]
    first = f"backend={frameworks[0]}"
    alone = (*sweep, first, "hydra/launcher=basic")
    chosen.append(
        Way(f"{frameworks[0]}, journal only", (*sweep, first, "tracking=journal"), count, many)
    )
    chosen.append(Way(f"{frameworks[0]}, basic launcher", alone, count, few))
    chosen.append(Way(BY_HAND, ("-m", "benchmarks.by_hand.keras_tracked"), count, few))
    return chosen


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `sweep`; return the exit code."""
    rows = []
    with Progress() as progress:
        for way in ways(options.frameworks, options.short):
            rows.append(_row(way, options.repeats, progress))
    settings = {"repeats": options.repeats, "runs": "task × seed", "network": " ".join(NETWORK)}
    results = report.document("sweep", command, settings) | {"rows": rows}
    sheets, notes = [_sheet(rows)], _notes(rows)
    folder, screen = report.new_folder(options.results), console()
    rates = {row["name"]: row["per_second"] for row in rows if not row["error"]}
    bars.draw(folder / "benchmark.png", rates, "tracked runs per second")
    report.save(folder, results, sheets, notes)
    report.show(sheets, notes, screen)
    report.say_where(folder, "python -m benchmarks startup", screen)
    return 1 if any(row["error"] for row in rows) else 0


def _row(way: Way, repeats: int, progress: Progress) -> Row:
    few, many = way.tasks, way.tasks * way.seeds
    row: Row = {"name": way.name, "runs": many, "error": ""}
    start_up, whole = [], []
    try:
        for done in range(repeats):
            progress.say("sweep", f"{way.name}, repeat {done + 1} of {repeats}")
            start_up.append(seconds_of(way.arguments(1)))
            whole.append(seconds_of(way.arguments(way.seeds)))
    except RuntimeError as error:
        return row | {"error": str(error)}
    rates = [(many - few) / (b - a) for a, b in zip(start_up, whole, strict=True)]
    return row | {
        "start_up_s": asdict(spread(start_up)),
        "s": asdict(spread(whole)),
        "per_second": asdict(spread(rates)),
    }


def _sheet(rows: list[Row]) -> Sheet:
    columns = ["way", "runs", "seconds", "seconds,\na seed each", "runs per\nsecond", "quartiles"]
    columns.append("times as\nmany as\nby hand")
    sheet = Sheet("tracked runs per second", columns, words=1)
    [by_hand] = [row for row in rows if row["name"] == BY_HAND]
    for row in rows:
        if row["error"]:
            sheet.rows.append([row["name"], str(row["runs"]), "failed", "", "", "", ""])
            continue
        rate = Spread(**row["per_second"])
        times = "" if by_hand["error"] else f"{rate.median / by_hand['per_second']['median']:.1f}"
        numbers = [f"{row[key]['median']:.1f}" for key in ("s", "start_up_s")]
        cells = [f"{rate.median:.2f}", f"{rate.low:.2f}–{rate.high:.2f}", times]
        sheet.rows.append([row["name"], str(row["runs"]), *numbers, *cells])
    return sheet


def _notes(rows: list[Row]) -> list[str]:
    return [
        "runs per second: of those beyond one seed of each task, so that start-up falls out.",
        "journal only: without MLflow. By hand: a loop of fit, in one process, no models logged.",
        *[f"failed: {row['name']}: {row['error']}" for row in rows if row["error"]],
    ]
