"""The time and memory that a sweep says first come from earlier runs, where there are some."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.file_names import JOURNAL
from harness.runs.cost import Size
from harness.runs.earlier_costs import Cost
from harness.sweeps.estimates import Estimate, estimate, from_runs
from harness.sweeps.memory_estimates import PROCESS, are_measured, bytes_together
from harness.training.plan import prepare
from tests.support import program
from tests.support.configs import config

TINY = ["task.samples=40", "model.units=3", "trainer.epochs=20", "tracking=journal"]
DRY = ["-m", *TINY, "sweep.dry_run=true"]


def last_line(folder: Path, *words: str) -> str:
    done = program.run(folder, *DRY, *words)
    assert done.code == 0, done.err
    return done.out.splitlines()[-1]


def slow_down(folder: Path, seconds: float) -> None:
    """Let the only run there have taken so long, as its journal has it."""
    path = program.directory(folder) / JOURNAL
    *before, end = path.read_text().splitlines()
    event = json.loads(end)
    event["cost"]["seconds"] = seconds
    path.write_text("\n".join([*before, json.dumps(event)]) + "\n")


@pytest.mark.slow
def test_an_earlier_run_replaces_the_formula(tmp_path: Path) -> None:
    assert "; roughly 2 s, " in last_line(tmp_path, "seed=7")
    assert program.run(tmp_path, *TINY).code == 0
    slow_down(tmp_path, 1200.0)
    assert "; about 20 min (from 1 earlier run), " in last_line(tmp_path, "seed=7")
    line = last_line(tmp_path, "seed=7", "optimizer.lr=0.5", "trainer.epochs=40")
    assert "; about 40 min (from 1 earlier run), " in line, "twice the updates"
    assert "; roughly 2 s, " in last_line(tmp_path, "seed=7", "model.units=4"), "another shape"
    line = last_line(tmp_path, "model.units=3,4", "hydra.launcher.workers=1")
    assert "; roughly 20 min (partly from 1 earlier run), " in line
    line = last_line(tmp_path, "seed=range(8)")
    assert "; roughly 3 s, " in line, "a run alone says nothing of eight together"


def test_an_estimate_is_the_measured_time_of_the_same_work() -> None:
    for words in ([], ["replicas=3"]):
        rough = estimate(prepare(config("task.samples=40", "trainer.epochs=3", *words)))
        assert rough.updates == 3 * 1 * (3 if "replicas=3" in words else 1)
        costs = [Cost(size=rough.size, seconds=seconds) for seconds in (2.0, 1.0, 7.0)]
        measured = from_runs(rough, costs, rough.size.replicas)
        assert measured.seconds == rough.updates * 2.0
        assert measured.runs == 3
        assert from_runs(rough, [], 1) == rough


def peaks_of(*sizes: tuple[int, int]) -> Estimate:
    """A job of one replica; earlier processes trained so many of these and took so many bytes."""
    base = int(PROCESS["numpy"])
    size = Size(shape="a", samples=100)
    costs = [
        Cost(size=replace(size, replicas=replicas), seconds=1.0, memory=base + memory)
        for replicas, memory in sizes
    ]
    return from_runs(Estimate(size=size, bytes=7), costs, 1)


def test_the_bytes_of_a_unit_are_those_of_a_process_that_trained_as_many() -> None:
    job = peaks_of((1, 100), (4, 130))
    assert [bytes_together([job] * count) for count in (1, 4)] == [100, 130]
    assert are_measured([job])


def test_without_such_a_process_the_bytes_are_an_upper_bound() -> None:
    job = peaks_of((4, 130))
    assert bytes_together([job] * 3) == 130, "a smaller program takes no more"
    assert bytes_together([job] * 6) == 195, "and a larger one no more per replica"
    for count in (1, 16, 17):
        assert are_measured([job] * count) == (count <= 16)
    assert bytes_together([job] * 17) == 17 * 7, "by the formula"
    assert bytes_together([peaks_of((1, -(10**6)))]) == 0, "less than the bare process"


BIG = ["task.samples=80000", "task.length=20", "trainer.batch_size=4096", "model.units=64"]


@pytest.mark.slow
def test_a_sweep_says_the_memory_that_earlier_runs_took(tmp_path: Path) -> None:
    """As it is seen from outside: the peak of the process that trains."""
    words = [*BIG, "trainer.epochs=2", "tracking=journal"]

    def plan(*more: str) -> tuple[float, str]:
        done = program.run(tmp_path, "-m", *words, "sweep.dry_run=true", *more)
        gigabytes, how = done.out.splitlines()[-1].rpartition(", ")[2].split(" GB ")
        return float(gigabytes), how

    formula, how = plan("seed=7")
    assert how == "(estimated)"
    process = program.start(tmp_path, *words)
    peak = 0
    while process.poll() is None:
        peak = max(peak, peak_of(process.pid))
        time.sleep(0.01)
    assert program.finish(process).code == 0
    [end] = program.events(program.directory(tmp_path), "end")
    assert 0.95 * peak <= end["cost"]["memory"] <= 1.05 * peak
    assert peak > 1.5e9 * formula
    measured, how = plan("seed=7", "optimizer.lr=0.5")
    assert (measured, how) == (pytest.approx(peak / 1e9, abs=0.06), "(measured)")
    two, how = plan("seed=7,8", "hydra.launcher.workers=2")
    assert (two, how) == (pytest.approx(2 * measured, abs=0.11), "(measured)")
    assert plan("seed=7", "model.units=32,64", "hydra.launcher.workers=1")[1] == "(partly measured)"
    assert plan("seed=7", "task.samples=40")[1] == "(estimated)"


def peak_of(pid: int) -> int:
    """The peak of a process, 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) * 1024
