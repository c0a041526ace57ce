"""A sweep finds its jobs wherever they are, and mixes with no other sweep.

Decides on the real program: exit codes, tables, and what is in the folders afterwards.
"""

import signal
from pathlib import Path

import pytest

from harness.tracking.job_outcomes import jobs
from harness.tracking.journal import last
from tests.support import program
from tests.support.command_lines import Ending, run_all

SMALL = ["task.samples=40", "trainer.epochs=2", "model.units=4", "tracking=journal"]
DEEP = "hydra.sweep.subdir='${task.name}/${seed}'"
NAMED = "hydra.sweep.subdir='${hydra.job.override_dirname}'"

# The words of a sweep, and the folders of its jobs in order.
SWEEPS: dict[str, tuple[list[str], list[str]]] = {
    "deep": (["-m", "task=sum,curve", "seed=0,1", DEEP], ["sum/0", "sum/1", "curve/0", "curve/1"]),
    "deep basic": (["-m", "seed=0,1", DEEP, "hydra/launcher=basic"], ["sum/0", "sum/1"]),
    "preset": (["-m", "task=notebook/sum,notebook/binary", DEEP], ["sum/0", "binary/0"]),
    "glob": (["-m", "task=glob(*um)"], ["0", "1"]),
    "options last": (["seed=0,1", "-m"], ["0", "1"]),
    "options between": (["trainer.batch_size=8", "-m", "seed=0,1"], ["0", "1"]),
    "mode": (["hydra.mode=MULTIRUN", "seed=0,1"], ["0", "1"]),
    "range": (["-m", "seed=range(0,3)"], ["0", "1", "2"]),
    "choice": (["-m", "model=choice(rnn,gru)"], ["0", "1"]),
    "sort": (["-m", "seed=sort(2,0,1)"], ["0", "1", "2"]),
    "shuffle": (["-m", "seed=shuffle(range(0,2))"], ["0", "1"]),
    "params": (["-m", '+hydra.sweeper.params.seed="0,1"'], ["0", "1"]),
    "last counts": (["-m", "seed=0,1", "model.units=3", "seed=4,5"], ["0", "1"]),
    "batches": (["-m", "seed=0,1,2", "hydra.sweeper.max_batch_size=2"], ["0", "1", "2"]),
    "chdir": (["-m", "seed=0,1", "hydra.job.chdir=true"], ["0", "1"]),
}


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Ending]]:
    places = {name: tmp_path_factory.mktemp(name.replace(" ", "-")) for name in SWEEPS}
    tasks = [
        (places[name], [*SMALL, *words, "hydra.sweep.dir=sw"])
        for name, (words, _) in SWEEPS.items()
    ]
    return {n: (places[n], done) for n, done in zip(SWEEPS, run_all(tasks), strict=True)}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_lists_its_jobs_wherever_they_are(
    endings: dict[str, tuple[Path, Ending]], name: str
) -> None:
    place, done = endings[name]
    assert done.code == 0, done.err
    found = jobs(place / "sw")
    assert [job.folder for job in found] == SWEEPS[name][1]
    assert done.out.count("FINISHED") == len(found)
    assert {job.status for job in found} == {"FINISHED"}
    assert len({job.name for job in found}) == len(found), "each has a name of its own"
    for job in found:
        assert (place / "sw" / job.folder / "predictions.csv").exists()


def test_what_a_sweeper_was_told_in_its_configuration_names_the_jobs(
    endings: dict[str, tuple[Path, Ending]],
) -> None:
    assert [job.name for job in jobs(endings["params"][0] / "sw")] == ["seed=0", "seed=1"]


def test_a_sweep_in_a_folder_of_the_users_leaves_their_files_alone(tmp_path: Path) -> None:
    for name in ("notes.txt", "0/thesis.txt"):
        (tmp_path / "sw" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sw" / name).write_text("mine")
    words = ["-m", *SMALL, "hydra.sweep.dir=sw"]
    refused, _ = run_all([(tmp_path, [*words, "seed=0,-1"]), (tmp_path / "other", SMALL)])
    assert (refused.code, refused.err.count("\n")) == (2, 1)
    assert (tmp_path / "sw/0/thesis.txt").read_text() == "mine"
    [done] = run_all([(tmp_path, [*words, "seed=0,1"])])
    assert done.code == 0
    assert [job.folder for job in jobs(tmp_path / "sw")] == ["0", "1"]
    for name in ("notes.txt", "0/thesis.txt"):
        assert (tmp_path / "sw" / name).read_text() == "mine"


def test_a_folder_with_a_sweep_is_refused_before_the_first_job(tmp_path: Path) -> None:
    """An earlier sweep with a failed job, and one that begins at the same time."""
    words = ["-m", *SMALL, "hydra.sweep.dir=sw"]
    ends = run_all([(tmp_path, [*words, f"seed={n},{n + 1}"]) for n in (0, 2)])
    assert sorted(done.code for done in ends) == [0, 2], "one of them took it"
    kept = sorted((tmp_path / "sw").rglob("*"))
    [again] = run_all([(tmp_path, [*words, "seed=7,8"])])
    assert (again.code, again.out) == (2, "")
    assert again.err == (
        "hydra.sweep.dir=sw: this folder holds a run or a sweep already; choose another, such as "
        "hydra.sweep.dir=sw-2.\n"
    )
    assert sorted((tmp_path / "sw").rglob("*")) == kept


def test_a_job_whose_folder_is_taken_fails_alone_and_touches_nothing(tmp_path: Path) -> None:
    """With a launcher that runs jobs one by one, the second finds out when it begins."""
    words = ["-m", *SMALL, "seed=0,1", "hydra.sweep.dir=sw", "hydra.sweep.subdir=same"]
    [done] = run_all([(tmp_path, [*words, "hydra/launcher=basic"])])
    assert done.code == 1
    first, second = jobs(tmp_path / "sw")
    assert (first.status, second.status) == ("FINISHED", "FAILED")
    assert "hydra.sweep.subdir=" in second.error
    assert "same" in second.error
    assert "1 of 2 jobs did not finish" in done.out
    end = last(tmp_path / "sw/same", "end")
    assert end is not None
    assert end["status"] == "FINISHED"


def test_a_sweep_that_is_stopped_before_its_first_job_takes_back_its_own_files_alone(
    tmp_path: Path,
) -> None:
    """Composing thousands of jobs takes a while; the stop comes meanwhile."""
    (tmp_path / "sw").mkdir()
    (tmp_path / "sw/thesis.txt").write_text("mine")
    words = ["-m", *SMALL, "hydra/launcher=batched", "seed=range(0,20000)", "hydra.sweep.dir=sw"]
    with program.running(tmp_path, *words) as process:
        program.wait_until((tmp_path / "sw/multirun.yaml").exists, process)
        process.send_signal(signal.SIGINT)
        done = program.finish(process)
    assert done.code == 130, done.err
    assert [path.name for path in tmp_path.rglob("*")] == ["sw", "thesis.txt"]
