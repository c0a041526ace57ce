"""Measure stores of MLflow: how fast they take runs, how long they search, their bytes on the disk.

All is sent from journals, as `harness sync` does. Runs are copies of one that was trained.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.common.progress import Progress
from benchmarks.common.tracking_server import open_folder, postgresql_missing
from benchmarks.store import picture, sizes, tables
from benchmarks.store.copies import copies, journal_id, points, record
from benchmarks.store.searching import seconds_of_searches
from benchmarks.store.sending import seconds_to_send
from benchmarks.store.stores import ON_POSTGRESQL, ON_SQLITE, STORES, opened
from harness.console.terminal import console

Row = dict[str, Any]

TINY, LONG = 20, 5000  # epochs
LONG_RUNS = 8
FILLERS = 2  # processes that fill a store which is then searched


@dataclass(frozen=True)
class Runs:
    """A trained run of which copies are sent, and a folder for them."""

    original: Path
    folder: Path

    def copies(self, name: str, number: int) -> list[Path]:
        return copies(self.original, self.folder / name, number)


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb `store`; return the exit code."""
    missing = postgresql_missing()
    stores = [store for store in STORES if missing is None or store != ON_POSTGRESQL]
    sent, searched, run_bytes = _measured(stores, options)
    settings = {"runs": options.runs, "long runs": LONG_RUNS, "repeats": options.repeats}
    results = report.document("store", command, settings)
    results |= {"sent": sent, "searched": searched, "run_bytes": run_bytes}
    sheets = [tables.sent(sent), tables.searched(searched), tables.sizes(searched, run_bytes)]
    notes = tables.notes(sent, searched, missing)
    folder, screen = report.new_folder(options.results), console()
    picture.draw(folder / "benchmark.png", sent)
    report.save(folder, results, sheets, notes)
    report.show(sheets, notes, screen)
    report.say_where(folder, "python -m benchmarks sweep", screen)
    return 1 if any(row["error"] for row in (*sent, *searched)) else 0


def _measured(
    stores: list[str], options: argparse.Namespace
) -> tuple[list[Row], list[Row], dict[str, int]]:
    """Return what was sent, what was searched, and the bytes of a run on the disk."""
    sent: list[Row] = []
    searched: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch, Progress() as progress:
        tiny = _recorded(Path(scratch, "tiny"), TINY)
        long = _recorded(Path(scratch, "long"), LONG // 100 if options.short else LONG)
        for store in stores:
            progress.say(store, "sending")
            sent += _sent(store, tiny, long, options)
        for store in (store for store in stores if store != ON_SQLITE):
            progress.say(f"{store}, filled", "searching")
            searched += _searched(store, tiny, options)
        return sent, searched, sizes.of_run(tiny.original)


def _recorded(folder: Path, epochs: int) -> Runs:
    folder.mkdir()
    return Runs(record(folder, epochs), folder)


def _sent(store: str, tiny: Runs, long: Runs, options: argparse.Namespace) -> list[Row]:
    """Send copies to one store, by as many processes at once as are asked for."""
    rows: list[Row] = []
    long_runs = 2 if options.short else LONG_RUNS
    with open_folder() as folder, opened(store, folder) as uri:
        for senders in options.senders:
            row: Row = {"store": store, "senders": senders, "error": ""}
            try:
                for kind, runs, number in (("tiny", tiny, options.runs), ("long", long, long_runs)):
                    directories = runs.copies(f"{store} {senders}", number)
                    row[f"{kind}_runs"] = number
                    row[f"{kind}_points"] = points(runs.original)
                    row[f"{kind}_s"] = seconds_to_send(directories, uri, senders)
            except RuntimeError as error:
                row["error"] = str(error)
            rows.append(row)
    return rows


def _searched(store: str, tiny: Runs, options: argparse.Namespace) -> list[Row]:
    """Fill one store up to each number of runs, and search it there."""
    rows: list[Row] = []
    there: list[Path] = []
    with open_folder() as folder, opened(store, folder) as uri:
        for number in options.listed:
            row: Row = {"store": store, "runs": number, "error": ""}
            more = tiny.copies(f"{store} {number}", number - len(there))
            there += more
            try:
                row["fill_s"] = seconds_to_send(more, uri, FILLERS)
                journal = journal_id(there[number // 2])
                row["search_s"] = seconds_of_searches(uri, journal, options.repeats)
                row["bytes"] = sizes.of_store(folder, store == ON_POSTGRESQL)
            except (RuntimeError, ValueError) as error:
                row["error"] = str(error)
            rows.append(row)
    return rows
