"""What a machine without the program's files gets of a sweep."""

from pathlib import Path

import pytest

from harness.runs.folders import first_free
from harness.sweeps.engines.shipping import COPIED, has_files, shipment, unpack
from harness.sweeps.jobs import Job
from harness.sweeps.sweep import Sweep
from harness.sweeps.units import WorkUnit
from harness.tracking.journal_writer import append
from harness.tracking.launched_jobs import launched_jobs, record_job


@pytest.fixture
def unit(tmp_path: Path) -> WorkUnit:
    """Job 3, whose process was killed, beside a folder of the user's own."""
    sweep = tmp_path / "sw"
    (sweep / "3").mkdir(parents=True)
    (sweep / "3-2").mkdir()
    append(sweep, "sweep", arguments=[], varying=[], jobs=1)
    append(sweep / "3", "end", status="KILLED", error=None)
    record_job(sweep, 3, sweep / "3")
    swept = Sweep(
        directory=str(sweep), arguments=[], varying=[], total=1, results="results", uri=None
    )
    job = Job(number=3, overrides=[], directory=sweep / "3", settings={})
    return WorkUnit(sweep=swept, jobs=[job])


def test_a_second_try_elsewhere_avoids_folders_that_are_taken_here(
    unit: WorkUnit, tmp_path: Path
) -> None:
    sweep, shipped = tmp_path / "sw", shipment(unit)
    assert has_files(unit, shipped)
    sweep.rename(tmp_path / "here")
    assert not has_files(unit, shipped)
    unpack(unit, shipped)
    assert first_free(sweep / "3") == sweep / "3-3"
    assert [job.folder for job in launched_jobs(sweep)] == [sweep / "3"]
    assert (sweep / COPIED).exists()
    assert not has_files(unit, shipped), "it is a copy"


def test_another_sweep_in_the_folder_is_left_alone(unit: WorkUnit, tmp_path: Path) -> None:
    sweep, shipped = tmp_path / "sw", shipment(unit)
    sweep.rename(tmp_path / "here")
    sweep.mkdir()
    append(sweep, "sweep", arguments=["other"], varying=[], jobs=1)
    before = (sweep / "journal.jsonl").read_bytes()
    with pytest.raises(FileExistsError, match="another sweep"):
        unpack(unit, shipped)
    assert (sweep / "journal.jsonl").read_bytes() == before
