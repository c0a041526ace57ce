"""Many command lines of the real program for the price of few.

Each runs `main` in a fork of a process that has imported it once: as good as a process of its own,
and ten times as fast.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT

FORKS = """
import json, multiprocessing, os, sys
from pathlib import Path
from harness import __main__
from harness.config import backend
from harness.train import command as _  # once, for all forks

HEAVY = ("torch", "tensorflow", "keras", "jax", "mlflow", "pandas", "matplotlib")
backend.gpu_present = lambda: False

def one(task):
    folder, arguments = task
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    for name, number in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder + "." + name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
    sys.argv = ["harness", *arguments]
    try:
        code = __main__.main()
    except SystemExit as stop:
        code = stop.code
    sys.stdout.flush()
    sys.stderr.flush()
    said = [Path(folder + "." + name).read_text() for name in ("out", "err")]
    left = [str(path) for path in Path().rglob("*")]
    return code, *said, sorted(left), [name for name in HEAVY if name in sys.modules]

with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
    print(json.dumps(pool.map(one, json.loads(sys.argv[1]), chunksize=1)))
"""


@dataclass(frozen=True)
class Ending:
    """How a command ended: what it said, what there is in its folder, what it had imported."""

    code: int
    out: str
    err: str
    left: list[str]
    imported: list[str]


def run_all(tasks: Sequence[tuple[Path, Sequence[str]]]) -> list[Ending]:
    """Run each command line in its folder, two at a time in no certain order."""
    words = json.dumps([(str(folder), list(arguments)) for folder, arguments in tasks])
    done = subprocess.run(
        [sys.executable, "-c", FORKS, words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [Ending(*found) for found in json.loads(done.stdout)]
