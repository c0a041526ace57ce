"""Carry out the verb `gpu`: tests, parity, speed, each within its share of the time.

What a part has found is on the disk as soon as it is known, so that a machine that goes away takes
nothing along. A framework that is not there, or has no GPU, is left out and named.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import report
from benchmarks.common.progress import Progress
from benchmarks.gpu import parity, speed, suite
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.job import Row
from benchmarks.gpu.work import Work
from harness.console.terminal import console

WEIGHTS = {"tests": 3.0, "parity": 3.0, "speed": 6.0}  # of the minutes, in order of importance
WORKS = {"parity": parity.WORK, "speed": speed.WORK}


def run(options: argparse.Namespace, command: str) -> int:
    """Carry out the verb; return the exit code: 0 where nothing failed or differed."""
    parts = [name for name in WEIGHTS if name in options.parts]
    budget = Budget(60.0 * options.minutes, {name: WEIGHTS[name] for name in parts})
    folder, screen = report.new_folder(options.results), console()
    settings = {"device": options.device, "GPU": _gpu(), "minutes": options.minutes}
    settings |= {"short": options.short, "threads": options.threads}
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as scratch, Progress() as progress:
        for name in parts:
            seconds = budget.share(name)
            document = report.document(f"gpu, {name}", command, settings)
            part = Part(folder / name, document, options)
            progress.say(name, f"{seconds:.0f} s")
            if name in WORKS:
                failed += part.work(WORKS[name], seconds, Path(scratch), progress)
            else:
                failed += part.test(seconds)
            report.show(part.sheets, part.notes, screen)
    screen.print(f"\n  results  {folder}: {', '.join(parts)}, each .md, .json", soft_wrap=True)
    for line in failed:
        screen.print(f"  failed   {line}", soft_wrap=True, markup=False)
    screen.print("  next     python -m benchmarks", soft_wrap=True)
    return 1 if failed else 0


class Part:
    """A part's results, written anew whenever there is more."""

    def __init__(self, path: Path, document: report.Document, options: argparse.Namespace) -> None:
        self.path, self.document, self.options = path, document, options
        self.rows: list[Row] = []
        self.sheets: list[report.Sheet] = []
        self.notes: list[str] = []

    def test(self, seconds: float) -> list[str]:
        """Run the tests; return what failed."""
        found = suite.run_tests(self.path.parent, self.options.device, seconds)
        self._save([suite.sheet(found)], suite.notes(found), found)
        return suite.failed(found)

    def work(self, work: Work, seconds: float, scratch: Path, progress: Progress) -> list[str]:
        """Let all frameworks do their work; return what failed."""
        device = self.options.device

        def save(row: Row) -> None:
            self.rows.append(row)
            rows = {"rows": self.rows}
            self._save(work.sheets(self.rows, device), work.notes(self.rows, device), rows)

        work.do(self.options, seconds, scratch, progress.say, save)
        return work.failed(self.rows, device)

    def _save(self, sheets: list[report.Sheet], notes: list[str], results: dict[str, Any]) -> None:
        self.sheets, self.notes = sheets, notes
        report.save_as(self.path, self.document | results, sheets, notes)


def _gpu() -> str:
    """Return the GPU's name, driver and memory as the driver's own program tells them."""
    if shutil.which("nvidia-smi") is None:
        return "none"
    words = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace")
    return "; ".join(done.stdout.splitlines()) or "none"
