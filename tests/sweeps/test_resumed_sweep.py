"""A sweep that goes on is, in the end, the one that was never stopped.

Also: work that is done is not done again, and what cannot be meant is refused before the first job.
"""

import random
import signal
import time
from pathlib import Path

import pytest

from harness.core.file_names import JOURNAL
from harness.tracking.job_outcomes import Job, jobs
from harness.tracking.journal import end_of
from harness.tracking.launched_jobs import attempts
from tests.faults.sweep_results import differences, results_of, tracking_problems
from tests.support import program
from tests.support.command_lines import run_all
from tests.support.program import Done, uses_mlflow

pytestmark = uses_mlflow

TINY = ["task.samples=40", "model.units=4", "precision=float64", "trainer.checkpoint_every=20"]
PLACE = "hydra.sweep.dir=sw"
RESUME = ["-m", "sweep.resume=sw"]


def epochs_done(folder: Path) -> int:
    """The epochs in all journals of the sweep there, copied ones included."""
    return sum(
        (path.read_bytes().count(b'"kind": "metrics"') for path in folder.glob("sw/*/*.jsonl")), 0
    )


def stopped(folder: Path, words: list[str], number: signal.Signals, epochs: int) -> Done:
    """A sweep that is stopped after that many more epochs of its jobs, if it has not ended."""
    before = epochs_done(folder)
    process = program.start(folder, *words)
    while process.poll() is None and epochs_done(folder) < before + epochs:
        time.sleep(0.01)
    process.send_signal(number)
    return program.finish(process)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_sweep_that_is_stopped_again_and_again_ends_as_if_it_never_was(
    workers: int, tmp_path: Path
) -> None:
    rng = random.Random(workers)
    words = ["-m", *TINY, "trainer.epochs=300", "trainer.keep_checkpoints=null", "seed=range(4)"]
    words += [PLACE]
    how = f"hydra.launcher.workers={workers}"
    whole, folder = (program.with_database(tmp_path / name) for name in ("whole", "stopped"))
    assert program.run(whole, *words, "hydra.launcher.workers=1").code == 0
    for number, limit in ((signal.SIGINT, 400), (signal.SIGKILL, 400), (signal.SIGTERM, 100)):
        done = stopped(folder, [*words, how], number, rng.randrange(20, limit))
        assert "Traceback" not in done.err
        assert program.run(folder, *RESUME, how, "sweep.dry_run=true").code == 0
        words = RESUME
    done = program.run(folder, *RESUME, how)
    assert done.code == 0, done.err
    assert differences(results_of(whole / "sw"), results_of(folder / "sw")) == []
    runs = program.tracked(folder)
    assert tracking_problems(runs, [f"seed={seed}" for seed in range(4)]) == []
    assert "KILLED" in {run.info.status for run in runs}
    count = len(attempts(folder / "sw"))
    again = program.run(folder, *RESUME, how)
    assert again.code == 0
    assert "4 jobs (4 finished before)" in again.err
    assert len(attempts(folder / "sw")) == count, "nothing was trained again"


# The process dies once: it has claimed the folder of job 1, and the sweep does not know of it yet.
DIES = """
import os, signal
from pathlib import Path
from harness.sweeps import jobs

record = jobs.record_job

def record_or_die(sweep, number, folder):
    if number == 1 and not Path("died").exists():
        Path("died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    record(sweep, number, folder)

jobs.record_job = record_or_die
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_may_die_between_its_claim_and_its_record(workers: int, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(DIES)
    words = ["-m", *TINY, "trainer.epochs=2", "seed=range(4)", PLACE, "tracking=journal"]
    words += [f"hydra.launcher.workers={workers}"]
    done = program.finish(program.start(tmp_path, *words, path=(tmp_path,)))
    assert (tmp_path / "died").exists()
    if workers == 1:  # the program itself has died
        assert done.code == -signal.SIGKILL
        done = program.run(tmp_path, *RESUME)
    assert done.code == 0, done.err
    assert [(job.number, job.status) for job in jobs(tmp_path / "sw")] == [
        (number, "FINISHED") for number in range(4)
    ]
    assert (tmp_path / "sw/1" / JOURNAL).read_bytes() == b""


def test_a_job_that_failed_is_tried_again(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = ["-m", *TINY, "trainer.epochs=2", "optimizer=sgd", "optimizer.lr=0.01,1e200", PLACE]
    assert program.run(folder, *words).code == 1
    done = program.run(folder, *RESUME)
    assert done.code == 1
    assert "python -m harness -m sweep.resume=" in done.out, "how to go on"
    outcome = [(job.status, job.folder) for job in jobs(folder / "sw")]
    assert outcome == [("FINISHED", "0"), ("FAILED", "1-2")]
    parent, *children = program.tracked(folder)
    assert parent.info.status == "FAILED"
    assert len(children) == 3


def test_last_is_the_last_sweep_that_has_begun(tmp_path: Path) -> None:
    words = ["-m", *TINY, "trainer.epochs=1", "seed=0,1", "tracking=journal"]
    assert program.run(tmp_path, *words).code == 0
    claimed = tmp_path / "results/multirun/99991231-235959-000000"  # and then it was killed
    claimed.mkdir()
    (claimed / JOURNAL).touch()
    done = program.run(tmp_path, "-m", "sweep.resume=last")
    assert done.code == 0, done.err
    assert "2 jobs (2 finished before)" in done.err


def test_finished_jobs_are_not_trained_again(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = ["-m", *TINY, "trainer.epochs=2", "sweep.skip=finished"]
    first = program.run(folder, *words, "seed=0,1", "hydra.sweep.dir=results/multirun/one")
    assert first.code == 0, first.err
    # What no number depends on may differ: where it is tracked, and how often it is saved.
    other = ["trainer.checkpoint_every=1", "tracking.flush_seconds=1", "hydra.sweep.dir=sw"]
    second = program.run(folder, *words, "seed=1,2", *other)
    assert second.code == 0, second.err
    assert "2 jobs (1 finished before) in 1 unit" in second.err
    known, new = jobs(folder / "sw")
    assert (known.status, known.folder) == ("FINISHED", str(folder / "results/multirun/one/1"))
    assert (new.status, new.folder) == ("FINISHED", "1")
    assert [path.name for path in (folder / "sw").iterdir() if path.is_dir()] >= ["1"]
    parents = [run for run in program.tracked(folder) if run.data.tags["kind"] == "sweep"]
    description = parents[1].data.tags["mlflow.note.content"]
    assert description.count("](#/experiments/") == 2, "both are linked"
    assert parents[1].data.metrics["jobs/finished"] == 2
    # What a number depends on makes another run.
    third = program.run(folder, *words, "seed=0,1", "optimizer.lr=0.1", "hydra.sweep.dir=sw3")
    assert "finished before" not in third.err


def test_a_dry_run_shows_the_jobs_and_leaves_nothing(tmp_path: Path) -> None:
    done = program.run(tmp_path, "-m", *TINY, "seed=0,1", "backend=numpy,jax", "sweep.dry_run=true")
    assert done.code == 0, done.err
    assert [line.split()[1] for line in done.out.splitlines() if " new " in line] == list("0123")
    assert "4 jobs in 2 units, in this process; roughly" in done.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_the_first_failure_stops_all_with_fail_fast(workers: int, tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = ["-m", *TINY, "optimizer=sgd", "optimizer.lr=0.001,1e30", "seed=range(4)", PLACE]
    words += ["sweep.fail_fast=true", "trainer.epochs=1000000", f"hydra.launcher.workers={workers}"]
    done = program.run(folder, *words)
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    found = jobs(folder / "sw")
    assert {job.status for job in found} == {"FAILED", "KILLED"}
    end = end_of(folder / "sw")
    assert end is not None
    assert end["status"] == "FAILED"


BAD = [
    (["seed=0,1", "sweep.skip=all"], "sweep.skip=all: must be one of"),
    (["seed=0,1", "sweep.skip=finished,null"], "sweep.skip: must have one value"),
    (["seed=0,1", "sweep.fail_fast=maybe"], "sweep.fail_fast=maybe: must be true or false"),
    (["seed=0,1", "sweep.skip=finished", "hydra/launcher=basic"], "needs hydra/launcher=batched"),
    (["seed=0,1", "sweep.dry_run=true", "hydra.job.chdir=true"], "sweep.dry_run=True: needs"),
    (["seed=0,1", "sweep.skip=finished", "+hydra.job.env_set.A=b"], "without hydra.job.chdir and"),
    (["seed=0,1", "hydra.launcher.workers=0"], "hydra.launcher.workers=0: must be auto or a whole"),
    (["sweep.resume=last"], "sweep.resume=last: there is no sweep in results/multirun"),
    (["sweep.resume=nowhere"], "sweep.resume=nowhere: must be last or the folder of a sweep"),
    (["sweep.resume=last", "seed=3"], "seed=3: sweep.resume=last goes on with the jobs as they"),
]


def test_what_cannot_be_meant_is_refused_in_one_line(tmp_path: Path) -> None:
    tasks = [(tmp_path / str(i), ["-m", *words]) for i, (words, _) in enumerate(BAD)]
    for (words, message), done in zip(BAD, run_all(tasks), strict=True):
        assert done.code == 2, (words, done.err)
        assert done.err.count("\n") == 1
        assert message in done.err
    [single] = run_all([(tmp_path / "single", ["sweep.fail_fast=true"])])
    assert (single.code, single.err.count("\n")) == (2, 1)
    assert "sweep.fail_fast=true: is about a sweep; add -m" in single.err


def test_a_sweep_that_still_runs_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = program.with_database(tmp_path)
    words = ["-m", *TINY, "trainer.epochs=1000000", "seed=0,1", PLACE]

    def both_train() -> bool:
        return epochs_done(folder) > 10

    with program.running(folder, *words) as process:
        program.wait_until(both_train, process)
        refused = program.run(folder, *RESUME)
        assert process.poll() is None
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert "its process still runs" in refused.err
    found: list[Job] = jobs(folder / "sw")
    assert [job.folder for job in found] == ["0", "1"]


def test_a_sweep_whose_words_make_other_jobs_is_not_gone_on_with(tmp_path: Path) -> None:
    words = ["-m", *TINY, "trainer.epochs=1", "seed=shuffle(range(6))", PLACE, "tracking=journal"]
    assert program.run(tmp_path, *words).code == 0
    before = [job.name for job in jobs(tmp_path / "sw")]
    done = program.run(tmp_path, *RESUME)
    assert done.code != 0, "the same order again has a chance of 1 in 720"
    assert "as where a sweep shuffles its values" in done.err
    assert [job.name for job in jobs(tmp_path / "sw")] == before
