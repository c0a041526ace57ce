"""A search that is stopped goes on with its study, and several programs may share one."""

import json
import signal
import time
import urllib.request
from pathlib import Path
from subprocess import DEVNULL, Popen
from sysconfig import get_path

import pytest

from benchmarks.common.tracking_server import free_port
from harness.tracking.job_outcomes import jobs
from tests.search.test_search import JOURNAL, SPACE, TINY, asked, states, study_in
from tests.support import program
from tests.sweeps.test_resumed_sweep import stopped

RESUME = ["-m", "sweep.resume=sw"]
FEW = ["hydra.sweeper.trials=6", "hydra.sweeper.batch=3", JOURNAL]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_search_that_is_killed_ends_as_if_it_never_was(workers: int, tmp_path: Path) -> None:
    words = [*TINY, SPACE, *FEW, "trainer.epochs=200", "trainer.checkpoint_every=20"]
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    folder.mkdir()
    assert program.run(whole, *words).code == 0
    how = f"hydra.launcher.workers={workers}"
    for number, epochs in ((signal.SIGKILL, 700), (signal.SIGTERM, 100), (signal.SIGKILL, 60)):
        done = stopped(folder, [*words, how], number, epochs)
        assert "Traceback" not in done.err
        words = RESUME
    assert "COMPLETE" in states(study_in(folder)), "one batch was told"
    assert "RUNNING" in states(study_in(folder))
    done = program.run(folder, *RESUME, how)
    assert done.code == 0, done.err
    assert asked(folder) == asked(whole)
    assert states(study_in(folder)) == ["COMPLETE"] * 6
    values = [[trial.value for trial in study_in(place).trials] for place in (folder, whole)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert any(job.folder != str(job.number) for job in jobs(folder / "sw")), "gone on with"
    more = program.run(folder, *RESUME, how, "hydra.sweeper.trials=8")
    assert more.code == 0, more.err
    assert [job.number for job in jobs(folder / "sw")] == list(range(8))
    assert states(study_in(folder)) == ["COMPLETE"] * 8


def test_two_programs_share_a_new_database(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    shared = [f"hydra.sweeper.storage={storage}", "hydra.sweeper.study=both"]
    words = [*TINY, "optimizer.lr=0.1,0.05,0.02,0.01", "model.units=2,3,4", JOURNAL]
    words += [*shared, "hydra.sweeper.sampler=grid", "hydra.sweeper.batch=2"]
    begun = [program.start(tmp_path, *words, f"hydra.sweep.dir={name}") for name in ("a", "b")]
    for done in map(program.finish, begun):
        assert done.code == 0, done.err
        assert "were not started" not in done.out
    trials = study_in(tmp_path, storage=storage, name="both").trials
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    assert len({str(trial.params) for trial in complete}) == len(complete) == 12
    surplus = [trial for trial in trials if trial not in complete]  # asked for at the same moment
    assert {trial.user_attrs["error"] for trial in surplus} <= {"the grid has no more points"}
    found = {name: jobs(tmp_path / name) for name in ("a", "b")}
    assert sum(map(len, found.values())) == 12
    other = ["optimizer.lr=0.1,0.5", "model.units=2,3,4", "hydra.sweep.dir=c"]
    refused = program.run(tmp_path, *words, *other)
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "study=both: this study has space optimizer.lr=" in refused.err
    assert not (tmp_path / "c").exists()


def test_a_study_that_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    assert program.run(tmp_path, *TINY, SPACE, *FEW).code == 0
    (tmp_path / "sw/study.log").unlink()
    done = program.run(tmp_path, *RESUME, "hydra.sweeper.trials=9")
    assert done.code == 2
    assert "has no trial of this sweep" in done.err


def test_a_dry_run_asks_for_the_first_batch_and_leaves_nothing(tmp_path: Path) -> None:
    done = program.run(tmp_path, *TINY, SPACE, *FEW, "sweep.dry_run=true")
    assert done.code == 0, done.err
    assert [line.split()[1] for line in done.out.splitlines() if " new " in line] == list("012")
    assert list(tmp_path.iterdir()) == []


def test_the_dashboard_shows_the_storage(tmp_path: Path) -> None:
    assert program.run(tmp_path, *TINY, SPACE, *FEW, "hydra.sweeper.pruner=median").code == 0
    port = free_port()
    command = [f"{get_path('scripts')}/optuna-dashboard", "--port", str(port), "sw/study.log"]
    address = f"http://127.0.0.1:{port}"
    with Popen(command, cwd=tmp_path, stdout=DEVNULL, stderr=DEVNULL) as server:
        try:
            [study] = json.loads(fetched(f"{address}/api/studies"))["study_summaries"]
            detail = json.loads(fetched(f"{address}/api/studies/{study['study_id']}?after=0"))
            page = fetched(f"{address}/dashboard/")
        finally:
            server.kill()
    assert study["study_name"] == "sw"
    assert len(detail["trials"]) == 6
    assert detail["trials"][0]["intermediate_values"]
    assert b"<html" in page.lower()


def fetched(address: str) -> bytes:
    """The answer of a server that may only be starting."""
    limit = time.monotonic() + program.PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address) as answer:
                return answer.read()
        except OSError:
            assert time.monotonic() < limit
            time.sleep(0.1)
