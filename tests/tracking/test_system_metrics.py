"""The machine's load in the journals of runs that take long enough."""

import time
from pathlib import Path

import pytest

from harness.tracking import system_metrics
from harness.tracking.journal import read
from harness.tracking.run_log import RunLog
from tests.support.program import PATIENCE
from tests.support.run_logs import begin

CPU, MEMORY = "system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"


def test_samples_are_counted_from_0_and_end_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_metrics, "SECONDS", 0.01)
    limit = time.monotonic() + PATIENCE
    records = [RunLog(tmp_path / name, None) for name in "ab"]
    for record in records:
        begin(record)
    while any(len(list(read(record.directory))) < 4 for record in records):
        assert time.monotonic() < limit, "nothing was sampled"
        time.sleep(0.01)
    for record in records:
        record.end("FINISHED")
        _, *samples, end = read(record.directory)
        assert end["kind"] == "end"
        assert [event["kind"] for event in samples] == ["system"] * len(samples)
        assert [event["step"] for event in samples] == list(range(len(samples)))
        for event in samples:
            assert 0 <= event["values"][CPU] <= 100
            assert event["values"][MEMORY] > 0


def test_a_short_run_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "SECONDS", PATIENCE)
    with RunLog(tmp_path, None) as record:
        begin(record)
    assert [event["kind"] for event in read(tmp_path)] == ["start", "end"]
