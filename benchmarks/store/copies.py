"""Copies of a recorded run, each of which is a run of its own for `harness sync`.

A run is known by the id that its journal begins with; all else may be equal. Files but the journal
are hard links, so that ten thousand copies fit on the disk.
"""

import json
import os
import shutil
import uuid
from pathlib import Path

from benchmarks.common.programs import python
from harness.core.file_names import JOURNAL
from harness.tracking.mlflow_writer import NUMBERS

TINY = ("task=sum", "task.samples=40", "model.units=4", "backend=numpy", "tracking=journal")


def record(folder: Path, epochs: int) -> Path:
    """Train a tiny run and return its directory. Raises `RuntimeError` where it fails."""
    words = ["-m", "harness", *TINY, f"trainer.epochs={epochs}", f"hydra.run.dir={folder}/original"]
    done = python(words, folder)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return folder / "original"


def points(directory: Path) -> int:
    """Return how many numbers a run's journal has."""
    events = map(json.loads, (directory / JOURNAL).read_text().splitlines())
    return sum(len(event["values"]) for event in events if event["kind"] in NUMBERS)


def copies(original: Path, folder: Path, number: int) -> list[Path]:
    """Make that many copies of a run in a new folder and return their directories."""
    beginning, newline, rest = (original / JOURNAL).read_text(encoding="utf-8").partition("\n")
    start = json.loads(beginning)
    found = []
    for place in range(number):
        copy = folder / f"{place:06d}"
        left_out = shutil.ignore_patterns(JOURNAL)
        shutil.copytree(original, copy, copy_function=os.link, ignore=left_out)
        start |= {"id": uuid.uuid4().hex, "params": start["params"] | {"seed": place}}
        (copy / JOURNAL).write_text(json.dumps(start) + newline + rest, encoding="utf-8")
        found.append(copy)
    return found


def journal_id(directory: Path) -> str:
    """Return the id by which MLflow knows a run."""
    with (directory / JOURNAL).open(encoding="utf-8") as file:
        return json.loads(file.readline())["id"]
