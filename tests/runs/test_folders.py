"""Nothing is written over and nothing removed but what the process itself has made.

Decides on the real program too: the folders that a user names, and what is in them afterwards.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.runs import folders
from harness.runs.folders import FolderTaken, check_not_begun, claim_run, new_folder, release_claims
from harness.system.own_files import make_folder, note_files, take_back
from tests.support import program
from tests.support.command_lines import run_all

SMALL = ["task.samples=40", "trainer.epochs=2", "model.units=4", "tracking=journal"]
BAD = "model.units=-1"


def contents(folder: Path) -> dict[str, str]:
    """Every path below `folder` and what the files hold."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(errors="replace")
        if path.is_file()
        else ""
        for path in folder.rglob("*")
    }


# What this process has made ----------------------------------------------------------------------


def test_folders_are_taken_back_as_far_as_they_were_made_and_are_empty(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert make_folder(tmp_path / "there/new/newer")
    note_files(tmp_path / "there/new/newer/mine")
    (tmp_path / "there/new/newer/mine").write_text("")
    take_back(tmp_path / "there/new/newer")
    assert contents(tmp_path) == {"there": ""}


def test_what_somebody_else_has_put_there_stays(tmp_path: Path) -> None:
    make_folder(tmp_path / "results/runs/1")
    (tmp_path / "results/runs/1/theirs").write_text("theirs")
    take_back(tmp_path / "results/runs/1")
    assert contents(tmp_path)["results/runs/1/theirs"] == "theirs"


def test_a_folder_that_was_there_stays_although_it_is_empty(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert not make_folder(tmp_path / "there")
    take_back(tmp_path / "there")
    assert (tmp_path / "there").is_dir()


def test_folder_of_refused_work_is_taken_back(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no"), new_folder(tmp_path / "results/parity/1"):
        raise ConfigError("no")
    assert not (tmp_path / "results").exists()


def test_what_failed_work_has_left_stays(tmp_path: Path) -> None:
    folder = tmp_path / "results/parity/1"
    with pytest.raises(RuntimeError), new_folder(folder):  # noqa: PT012 - the work is what is tested
        (folder / "traceback.txt").write_text("")
        raise RuntimeError
    assert (folder / "traceback.txt").exists()


def test_folder_that_cannot_be_made_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    begun = []
    with (
        pytest.raises(ConfigError, match="results: cannot write there"),
        new_folder(tmp_path / "file/parity/1"),
    ):
        begun.append(1)
    assert not begun


# A run's folder ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_of_many_at_the_same_time_one_takes_a_folder(folder: Path) -> None:
    def claims(_: int) -> bool:
        try:
            claim_run(folder, "hydra.run.dir")
        except FolderTaken:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(claims, range(64))) == 1


@pytest.mark.parametrize("name", folders.RUN_NAMES)
def test_no_file_of_a_users_is_written_over(folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(
        FolderTaken, match=r"^hydra\.run\.dir=.*/out: .*hydra\.run\.dir=.*/out-2\.$"
    ):
        claim_run(folder, "hydra.run.dir")
    assert contents(folder) == {name: "mine"}


def test_a_claim_of_which_no_run_came_is_given_up(folder: Path) -> None:
    claim_run(folder, "hydra.run.dir")
    check_not_begun(folder)
    release_claims()
    assert not folder.exists()


def test_a_run_that_has_begun_keeps_its_folder(folder: Path) -> None:
    claim_run(folder, "hydra.run.dir")
    (folder / "journal.jsonl").write_text("{}\n")
    with pytest.raises(FolderTaken):
        check_not_begun(folder)
    release_claims()
    assert contents(folder) == {"journal.jsonl": "{}\n"}


# The real program --------------------------------------------------------------------------------

REFUSED = {
    "a value": [BAD],
    "a type": ["model.units=abc"],
    "no such run": ["resume=20261124-205901-558585"],
    "no GPU": ["device=cuda"],
    "too few samples": ["task.samples=2"],
    "a database": ["tracking=mlflow", "results=file"],
    "a sweep": ["-m", "seed=0,1", BAD],
    "a hole in a sweep": ["-m", "seed=0,1", "hydra.sweep.subdir=same"],
}


@pytest.mark.parametrize("where", ["d", "."])
def test_a_refused_command_leaves_a_users_folder_as_it_was(tmp_path: Path, where: str) -> None:
    tasks = []
    for reason, words in REFUSED.items():
        place = tmp_path / reason
        (place / "d/0").mkdir(parents=True)
        for name in ("file", "d/thesis.txt", "d/0/data.csv", "config.txt"):
            (place / name).write_text("mine")
        key = "hydra.sweep.dir" if "-m" in words else "hydra.run.dir"
        tasks.append((place, [*SMALL[:-1], *words, f"{key}={where}"]))
    before = contents(tmp_path / "a value")
    for (place, words), done in zip(tasks, run_all(tasks), strict=True):
        assert (done.code, done.err.count("\n")) == (2, 1), (words, done.err)
        assert contents(place) == before, words


def test_a_run_that_hydra_cannot_begin_leaves_no_folder(tmp_path: Path) -> None:
    words = [*SMALL, "hydra.run.dir=out", "hydra.job_logging.root.level=NOPE"]
    [done] = run_all([(tmp_path, words)])
    assert done.code == 1
    assert done.left == []


def test_a_folder_with_a_run_is_refused_and_so_is_one_with_the_users_own_file(
    tmp_path: Path,
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "config.yaml").write_text("mine")
    tasks = [(tmp_path, [*SMALL, f"hydra.run.dir={where}"]) for where in ("out", "own", "d/e")]
    first, foreign, _ = run_all(tasks)
    assert first.code == 0, first.err
    assert foreign.code == 2
    assert foreign.err.startswith("hydra.run.dir=own: this folder has a file config.yaml")
    kept = contents(tmp_path)
    again = [(tmp_path, [*SMALL, "seed=1", f"hydra.run.dir={where}"]) for where in ("out", "d/e")]
    for done in run_all(again):
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert "holds a run or a sweep already" in done.err
        assert "such as hydra.run.dir=" in done.err
    assert contents(tmp_path) == kept


def test_a_run_beside_a_users_files_leaves_them_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    [done] = run_all([(tmp_path, [*SMALL, "hydra.run.dir=."])])
    assert done.code == 0
    assert {"thesis.txt", "journal.jsonl", "weights/final.safetensors"} <= set(done.left)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_results_are_where_the_command_was_given_although_a_run_works_in_its_folder(
    tmp_path: Path,
) -> None:
    """The first run is gone on with by a word that is a relative path."""
    folder = program.with_database(tmp_path)
    chdir = [*SMALL[:-1], "hydra.job.chdir=true"]
    [done] = run_all([(folder, [*chdir, "hydra.run.dir=out"])])
    assert done.code == 0, done.err
    assert not [path for path in done.left if path.startswith("out") and "mlflow.db" in path]
    assert len(program.tracked(folder)) == 1
    words = ["resume=out", "trainer.epochs=3", "hydra.job.chdir=true", "hydra.run.dir=more"]
    [done] = run_all([(folder, words)])
    assert done.code == 0, done.err
    assert len(program.tracked(folder)) == 2


def test_what_has_begun_is_never_taken_back(tmp_path: Path) -> None:
    begun, refused = tmp_path / "new/begun", tmp_path / "new/refused"
    for folder in (begun, refused):
        claim_run(folder, "results")
    (begun / JOURNAL).write_text('{"kind": "start"}\n')
    release_claims()
    assert not refused.exists()
    take_back(tmp_path)
    take_back(begun)
    assert (begun / JOURNAL).exists()
