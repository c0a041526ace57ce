"""The time that a sweep says first comes from earlier runs of its shape, where there are some."""

import json
from pathlib import Path

import pytest

from harness.core.file_names import JOURNAL
from harness.sweeps.estimates import estimate, from_runs
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
    """Also with threads, over which the seconds of one core are then divided."""
    for words in ([], ["threads=2"], ["replicas=3"]):
        rough = estimate(prepare(config("task.samples=40", "trainer.epochs=3", *words)))
        assert rough.updates == 3 * 1 * (3 if "replicas=3" in words else 1)
        measured = from_runs(rough, [2.0, 1.0, 7.0])
        assert measured.seconds / rough.threads == rough.updates * 2.0
        assert measured.runs == 3
        assert from_runs(rough, []) == rough
