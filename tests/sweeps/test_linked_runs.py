"""Runs that a sweep links to are its runs wherever the sweep is named, and are marked as linked."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from harness import find_runs, load_run
from harness.compare import __main__ as compare
from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.doctor import __main__ as doctor
from harness.sync import __main__ as sync
from harness.tracking.job_outcomes import jobs
from harness.tracking.launched_jobs import linked_jobs, record_job
from harness.tracking.sent import address
from tests.support import program
from tests.support.program import uses_mlflow

pytestmark = uses_mlflow

TINY = ["task.samples=40", "trainer.epochs=2", "model.units=4"]
SKIP = ["-m", *TINY, "sweep.skip=finished"]
SWEEP = "20261127-100000-000000"  # links to job 1 of another and to a run, and trains a third


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = program.with_database(tmp_path_factory.mktemp("linked"))
    first = program.run(folder, *SKIP, "seed=0,1", "hydra.sweep.dir=results/multirun/one")
    assert first.code == 0, first.err
    # How often it is saved makes no other run, nor another group of a comparison.
    assert program.run(folder, *TINY, "seed=2", "trainer.checkpoint_every=1").code == 0
    place = f"hydra.sweep.dir=results/multirun/{SWEEP}"
    done = program.run(folder, *SKIP, "seed=1,2,3", "trainer.checkpoint_every=2", place)
    assert done.code == 0, done.err
    assert "FINISHED, linked" in done.out
    return folder


@pytest.fixture
def copied(recorded: Path, tmp_path: Path) -> Path:
    """The results, in which something may be changed."""
    shutil.copytree(recorded / "results", tmp_path / "results")
    return tmp_path / "results"


def compared(results: Path, *arguments: str) -> pd.DataFrame:
    assert compare.main(["--results", str(results), *arguments]) == 0
    folder = max((results / "reports").iterdir())
    return pd.read_csv(folder / "table.csv").set_index("task")


EXPECTED = {
    "sum seed=1": "FINISHED, linked",
    "sum seed=2": "FINISHED, linked",
    "sum seed=3": "FINISHED",
}


def test_a_sweep_is_compared_with_its_linked_runs(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compared(copied)["status"].to_dict() == EXPECTED
    assert "3 runs (2 linked) in 3 groups" in capsys.readouterr().out
    table = compared(copied, "--filter", "params.seed = '2'", "--parent", parent(copied))
    assert table["status"].to_dict() == {"sum": "FINISHED, linked"}
    own = pd.read_csv(copied / f"multirun/{SWEEP}/report/table.csv").set_index("task")
    assert own["status"].to_dict() == EXPECTED
    page = (copied / f"multirun/{SWEEP}/report/report.html").read_text()
    assert "3 finished runs (2 linked) of the sweep" in page


def parent(results: Path) -> str:
    known = address(results / "multirun" / SWEEP)
    assert known is not None
    return known["run_id"]


def test_mlflow_alone_knows_the_links(copied: Path) -> None:
    """As on another machine, which has none of the sweep's files."""
    (copied / "multirun").rename(copied / "elsewhere")
    assert compared(copied)["status"].to_dict() == EXPECTED


def test_a_copy_of_a_sweep_in_another_store_has_its_linked_runs(copied: Path) -> None:
    other = f"sqlite:///{copied}/copy.db"
    assert sync.main([str(copied / "multirun" / SWEEP), "--uri", other]) == 0
    assert compared(copied, "--uri", other)["status"].to_dict() == EXPECTED


def test_a_sweep_is_read_and_checked_with_its_linked_runs(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = copied / "multirun" / SWEEP
    folders = [copied / "multirun/one/1", *copied.glob("runs/*"), sweep / "2"]
    assert sorted(folders) == [run.directory for run in find_runs(sweep)]
    assert len(find_runs(copied)) == 4, "each once"
    assert doctor.main([str(sweep)]) == 0
    assert "3 runs and 1 sweep: nothing is wrong" in capsys.readouterr().out
    damaged = copied / "multirun/one/1/config.yaml"
    damaged.write_text(f"{damaged.read_text()}\n")
    assert doctor.main([str(sweep)]) == 1
    assert "3 runs and 1 sweep: 1 finding" in capsys.readouterr().out


def test_a_linked_job_is_found_by_its_number(copied: Path) -> None:
    for number, folder in enumerate((copied / "multirun/one/1", *copied.glob("runs/*"))):
        for word in (f"{SWEEP}/{number}", copied / "multirun" / SWEEP / str(number)):
            assert load_run(word, copied).directory == folder
    with pytest.raises(ConfigError, match=f"{SWEEP}/9: there is no such run"):
        load_run(f"{SWEEP}/9", copied)


def test_what_is_gone_or_damaged_is_left_out(copied: Path) -> None:
    sweep = copied / "multirun" / SWEEP
    shutil.rmtree(copied / "multirun/one/1")
    assert len(find_runs(sweep)) == 2
    journal = sweep / JOURNAL
    [damaged] = {job.journal for job in linked_jobs(sweep) if job.number == 1}
    journal.write_text(journal.read_text().replace(damaged, "x' or"))
    assert set(compared(copied).index) == {"sum seed=1", "sum seed=3"}, "MLflow has the first"


def test_a_journal_says_which_run_is_meant(recorded: Path, tmp_path: Path) -> None:
    [linked, _, own] = jobs(recorded / "results/multirun" / SWEEP)
    assert (linked.shown_status, own.shown_status) == ("FINISHED, linked", "FINISHED")
    run = recorded / "results/multirun/one/1"
    record_job(tmp_path, 0, run, reused=True)
    [job] = linked_jobs(tmp_path)
    assert job.journal == program.events(run, "start")[0]["id"]
