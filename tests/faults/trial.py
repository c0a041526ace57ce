"""A folder in which a fault is tried: the programs there, what they say, what they leave behind."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import psutil

from tests.faults.compare import (
    Comparison,
    Curve,
    Journal,
    compare,
    curve_difference,
    directories,
    journals,
)
from tests.faults.started import LIMIT, Program, Words
from tests.support import ROOT

LINES = 10  # that a program may print on standard error
EPOCHS = 300
SEEDS = 6
TINY = [
    "task.samples=40",
    "model.units=4",
    "precision=float64",
    "trainer.checkpoint_every=20",
    "tracking.flush_seconds=0.2",
]
WAIT = 2.0  # tracking.wait_seconds where a fault names no other


def epochs(number: int) -> str:
    return f"trainer.epochs={number}"


@dataclass
class Trial:
    """A folder, the programs that were started in it, and what was wrong with them."""

    folder: Path
    random: random.Random
    short: bool
    results: str = "results"
    seeds: int = SEEDS  # from 0 on, that its runs have
    problems: list[str] = field(default_factory=list[str])
    comparison: Comparison = field(default_factory=Comparison)
    lost: int = 0
    _programs: int = 0

    def uri(self) -> str:
        return f"sqlite:///{self.folder / self.results}/mlflow.db"

    @property
    def experiment(self) -> str:
        """Return the name of the trial's own experiment, where trials share a store."""
        return f"{self.folder.parent.name}-{self.folder.name}"

    def found(self) -> list[Journal]:
        return journals(self.folder / self.results)

    def start(
        self, *words: str, module: str = "harness", wait: float = WAIT, **how: Any
    ) -> Program:
        """Start `python -m MODULE WORDS` in the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._programs += 1
        output = self.folder.parent / f"{self.folder.name}.{self._programs}.txt"
        file: IO[bytes] = output.open("wb")
        how = {"stdout": file, "stderr": subprocess.STDOUT} | how
        env = {n: v for n, v in os.environ.items() if not n.startswith(("HARNESS", "MLFLOW"))}
        before = set(directories(self.folder))
        with file:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                cwd=self.folder,
                env=env | {"PYTHONPATH": str(ROOT), "HARNESS_WAIT_SECONDS": str(wait)},
                start_new_session=True,
                **how,
            )
        return Program(self.folder, words, process, output, before)

    def finish(self, program: Program, *codes: int, limit: float = LIMIT) -> str:
        """Wait for a program's end and check how it ended; return what it said."""
        try:
            code = program.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.problems.append(f"{' '.join(program.words)}: hung, longer than {limit:g} s")
            program.process.kill()
            program.process.wait()
            code = None
        said = program.output.read_text(errors="replace")
        if codes and code not in codes:
            self.say(program, f"exit code {code} instead of {codes}")
        self.check_output(program)
        return said

    def check_output(self, program: Program) -> None:
        said = program.output.read_text(errors="replace")
        if "Traceback (most recent" in said:
            _, _, trace = said.partition("Traceback (most recent")
            self.say(program, f"a traceback: {trace[:2000]}")

    def say(self, program: Program, what: str) -> None:
        end = " | ".join(program.output.read_text(errors="replace").splitlines()[-6:])[-900:]
        self.problems.append(f"{' '.join(program.words)}: {what}; it said: {end}")

    def wait_until(self, happened: Callable[[], Any]) -> None:
        """Poll, whether or not a program still runs: its reader may go on alone."""
        limit = time.monotonic() + LIMIT
        while not happened():
            assert time.monotonic() < limit, "what a fault waits for has not happened"
            time.sleep(0.01)

    def run(self, *words: str, codes: tuple[int, ...] = (0,), **how: Any) -> str:
        return self.finish(self.start(*words, **how), *codes)

    def train(self, *words: str, **how: Any) -> Program:
        """Start a tiny run or sweep."""
        return self.start(*TINY, f"results={self.results}", *words, **how)

    def sync(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        return self.run(*words, "--results", self.results, module="harness.sync", codes=codes)

    def expect(self, number: int) -> None:
        """Count runs as lost that should be there, but have no journal."""
        missing = number - sum(journal.is_tracked for journal in self.found())
        if missing > 0:
            self.lost += missing
            self.problems.append(f"{missing} runs have no journal")

    def settle(self, uri: str | None = None, words: Words = (), patience: float = 120.0) -> None:
        """Bring all to MLflow with `harness sync`, compare, and look for processes left behind."""
        self.sync(*words)
        self.compare(uri or self.uri())
        self.check_processes(patience)

    def compare(self, uri: str) -> None:
        """Compare MLflow with the journals, and their curves with undisturbed ones."""
        shared = self.experiment if uri.startswith("http") else None
        found = compare(self.folder / self.results, uri, shared)
        self.comparison = found
        self.lost += found.expected - found.found
        self.problems += found.problems
        for journal in self.found():
            self.check_curve(journal)

    def check_curve(self, journal: Journal, is_whole: bool = False) -> None:
        if journal.start is None or "trainer.epochs" not in journal.start["params"]:
            return
        params = journal.start["params"]
        expected = undisturbed(int(params["trainer.epochs"]), self.seeds)[int(params["seed"])]
        is_whole = is_whole or journal.end.get("status") == "FINISHED"
        difference = curve_difference(expected, journal.curve(), is_whole)
        if difference is not None:
            self.problems.append(f"{journal.directory}: {difference}")

    def check_processes(self, patience: float) -> None:
        """Wait until no process works in the folder any more; end those that stay."""
        limit = time.monotonic() + patience
        while (left := processes(self.folder)) and time.monotonic() < limit:
            time.sleep(0.2)
        for process in left:
            with suppress(psutil.NoSuchProcess):  # it has ended just now
                self.problems.append(f"left behind: {' '.join(process.cmdline())[:200]}")
                process.kill()

    def complete(self, journal: Journal) -> None:
        """Resume a run that was stopped, and compare its whole curve with an undisturbed one."""
        if journal.start is None or journal.end.get("status") == "FINISHED":
            return
        has_checkpoint = any((journal.directory / "checkpoints").glob("epoch-*"))
        program = self.start(f"resume={journal.directory}", "tracking=journal")
        said = self.finish(program, *((0,) if has_checkpoint else (0, 2)))
        if program.process.returncode == 0:
            [resumed] = program.own()
            self.check_curve(next(j for j in self.found() if j.directory == resumed), True)
        elif len(said.splitlines()) > 1:
            self.say(program, "more than a line")


def processes(folder: Path) -> list[psutil.Process]:
    """Return the living processes whose current directory is in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            inside = Path(process.cwd()).is_relative_to(folder.resolve())
            if inside and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@cache
def undisturbed(number: int, seeds: int) -> dict[int, Curve]:
    """Return the curves of undisturbed runs of that many epochs, by their seeds."""
    with TemporaryDirectory() as folder:
        trial = Trial(Path(folder, "undisturbed"), random.Random(0), short=True)
        program = trial.train("-m", epochs(number), f"seed=range({seeds})", "tracking=journal")
        trial.finish(program, 0)
        assert not trial.problems, trial.problems
        runs = [journal for journal in trial.found() if journal.start]
        return {int(run.start["params"]["seed"]): run.curve() for run in runs if run.start}


@cache
def duration(words: Words) -> tuple[float, int]:
    """Return the seconds and the lines of the journals of an undisturbed program."""
    with TemporaryDirectory() as folder:
        trial = Trial(Path(folder, "undisturbed"), random.Random(0), short=True)
        program = trial.train(*words)
        trial.finish(program, 0)
        assert not trial.problems, trial.problems
        seconds = time.monotonic() - program.began
        lines = program.lines()
        trial.check_processes(LIMIT)
        return seconds, lines
