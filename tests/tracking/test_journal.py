"""The journal is the truth: nothing that has happened is lost, whatever happens afterwards.

Decides by cutting a journal at every byte, and by ending a record in each of the three ways in
which a run can end.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.errors import Diverged
from harness.core.file_names import JOURNAL
from harness.system.signals import SIGNALS, Killed
from harness.tracking.journal import Event, last, read
from harness.tracking.journal_writer import Journal
from harness.tracking.run_log import RunLog
from tests.support import ROOT
from tests.support.run_logs import START


def kinds(events: list[Event]) -> list[str]:
    return [event["kind"] for event in events]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "run")
    yield made
    made.close()


def test_every_line_is_one_whole_json_object(journal: Journal, tmp_path: Path) -> None:
    journal.write("start", **START | {"note": "two\nlines", "params": {"a": None, "b": [1.5]}})
    journal.write("metrics", step=1, values={"train/loss": [0.25, 1e-300]})
    text = (tmp_path / "run" / JOURNAL).read_text(encoding="utf-8")
    assert text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    assert kinds(lines) == ["start", "metrics"]
    assert lines[0]["name"] == "sum·numpy"
    assert lines[0]["note"] == "two\nlines"
    assert lines == list(read(tmp_path / "run")), "before the journal is closed, too"


def test_an_event_is_on_its_way_to_the_disk_when_write_returns(
    journal: Journal, tmp_path: Path
) -> None:
    for step in range(1, 4):
        event = journal.write("metrics", step=step, values={})
        assert list(read(tmp_path / "run"))[-1] == event
        assert last(tmp_path / "run", "metrics") == event


def test_events_carry_the_time_in_milliseconds(journal: Journal) -> None:
    times = [journal.write("tags", values={})["time"] for _ in range(3)]
    assert times == sorted(times)
    assert 1.7e12 < times[0] < 1e13


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 1e-310, 0.1])
def test_any_float_comes_back_as_it_was(journal: Journal, tmp_path: Path, value: float) -> None:
    journal.write("metrics", step=1, values={"train/loss": [value]})
    journal.close()
    [event] = read(tmp_path / "run")
    assert event["values"]["train/loss"] == pytest.approx([value], rel=0, abs=0, nan_ok=True)


@pytest.mark.parametrize("text", ["\u2028", "\u0085", "\x0c", "\x1e", "\r", "·", "\ud800"])
def test_any_text_comes_back_as_it_was(journal: Journal, tmp_path: Path, text: str) -> None:
    journal.write("start", **START | {"name": f"a{text}b"})
    journal.write("end", status="FINISHED")
    journal.close()
    events = list(read(tmp_path / "run"))
    assert kinds(events) == ["start", "end"]
    assert events[0]["name"] == f"a{text}b"


def test_a_last_line_cut_short_anywhere_costs_that_line_only(tmp_path: Path) -> None:
    writer = Journal(tmp_path)
    writer.write("start", **START)
    writer.write("metrics", step=1, values={})
    writer.write("tags", values={"names": "sum·torch"})
    writer.close()
    whole = (tmp_path / JOURNAL).read_bytes()
    begin = whole.index(b'{"kind": "tags"')
    for length in range(begin, len(whole) - 2):
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        assert kinds(list(read(tmp_path))) == ["start", "metrics"], f"cut after {length} bytes"


def test_what_is_written_after_a_line_cut_short_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text('{"kind": "tags", "time": 1, "values": {}}\n{"kind": "metr')
    again = Journal(tmp_path)
    again.write("tags", values={})
    again.write("end", status="KILLED")
    again.close()
    assert kinds(list(read(tmp_path))) == ["tags", "tags", "end"]


def test_a_journal_is_only_ever_appended_to(tmp_path: Path) -> None:
    for kind, fields in (("start", START), ("end", {"status": "FINISHED"})):
        writer = Journal(tmp_path)
        writer.write(kind, **fields)
        writer.close()
        writer.close()  # closing twice does no harm
    assert kinds(list(read(tmp_path))) == ["start", "end"]


def test_where_there_is_no_journal_nothing_has_happened(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == []
    assert last(tmp_path, "end") is None


def test_the_latest_event_of_a_kind_is_found(journal: Journal, tmp_path: Path) -> None:
    for step in (1, 2):
        journal.write("metrics", step=step, values={})
    journal.write("tags", values={})
    found = last(tmp_path / "run", "metrics")
    assert found is not None
    assert found["step"] == 2
    assert last(tmp_path / "run", "end") is None


def ending(tmp_path: Path, error: BaseException | None) -> dict[str, Any]:
    """How the journal ends when `error` ends the run."""
    try:
        with RunLog(tmp_path, None) as record:
            record.metrics(1, {"train/loss": np.array([1.0])})
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error, "the record hides nothing"  # noqa: PT017 - or none is raised
    else:
        assert error is None
    event = last(tmp_path, "end")
    assert event is not None
    assert kinds(list(read(tmp_path)))[0] == "metrics"
    return event


def test_a_run_that_comes_to_its_end_is_finished(tmp_path: Path) -> None:
    event = ending(tmp_path, None)
    assert (event["status"], event["error"]) == ("FINISHED", None)
    assert not (tmp_path / "traceback.txt").exists()


@pytest.mark.parametrize("error", [Diverged("loss not finite in epoch 3"), ValueError("a\nb")])
def test_a_run_that_raises_is_failed_and_keeps_its_traceback(
    tmp_path: Path, error: Exception
) -> None:
    event = ending(tmp_path, error)
    assert event["status"] == "FAILED"
    assert event["error"] == f"{type(error).__name__}: {error}"
    text = (tmp_path / "traceback.txt").read_text(encoding="utf-8")
    assert "Traceback (most recent call last)" in text
    assert "raise error" in text
    assert str(error) in text
    files = [e["path"] for e in read(tmp_path) if e["kind"] == "file"]
    assert files == ["traceback.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), *map(Killed, SIGNALS)], ids=repr)
def test_a_run_that_is_stopped_is_killed(tmp_path: Path, error: BaseException) -> None:
    event = ending(tmp_path, error)
    assert event["status"] == "KILLED"
    assert not (tmp_path / "traceback.txt").exists(), "nothing went wrong"


def test_a_record_ends_once(tmp_path: Path) -> None:
    with RunLog(tmp_path, None) as record:
        record.end("FAILED", "because")
    ends = [(e["status"], e["error"]) for e in read(tmp_path) if e["kind"] == "end"]
    assert ends == [("FAILED", "because")]


# No closing, no flushing, no `finally`.
KILLED = """
import os, sys
from pathlib import Path
from harness.tracking.journal_writer import Journal

Journal(Path(sys.argv[1])).write("tags", values={})
os._exit(9)
"""


def test_a_killed_process_leaves_what_it_has_written(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == 9
    assert kinds(list(read(tmp_path))) == ["tags"]
