"""The journal is the truth: nothing that has happened is lost, whatever happens afterwards.

Decides by cutting a journal at every byte, by views that fail in every way a tracking server can,
and by ending a record in each of the three ways in which a run can end.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.errors import ConfigError, Diverged
from harness.core.file_names import JOURNAL
from harness.system.signals import SIGNALS, Killed
from harness.tracking import event_buffer as feed_module
from harness.tracking.event_buffer import EventBuffer
from harness.tracking.journal import Event, Journal, last, read
from harness.tracking.run_log import RunLog
from tests.support import ROOT

NEVER = 1e9  # seconds to wait before sending of its own accord


class Listener:
    """A view that keeps what it is sent and fails as often as it is told."""

    def __init__(self, directory: Path, failures: Sequence[Exception] = ()) -> None:
        self.directory, self.failures = directory, list(failures)
        self.received: list[Event] = []
        self.calls = 0
        self.address: dict[str, str] = {}

    def send(self, events: list[Event]) -> None:
        self.calls += 1
        written = list(read(self.directory))
        assert all(event in written for event in events), "the journal must have it first"
        if self.failures:
            raise self.failures.pop(0)
        self.address = {"run_id": "1", "experiment_id": "2", "uri": "somewhere"}
        self.received += events
        events.clear()


def fed(directory: Path, view: Listener, flush_seconds: float) -> RunLog:
    return RunLog(directory, EventBuffer(directory, view, flush_seconds))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure the view is tried again at once."""
    monkeypatch.setattr(feed_module, "PAUSE", 0.0)


def kinds(events: list[Event]) -> list[str]:
    return [event["kind"] for event in events]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "run")
    yield made
    made.close()


def test_every_line_is_one_whole_json_object(journal: Journal, tmp_path: Path) -> None:
    journal.write("start", name="sum·numpy", note="two\nlines", params={"a": None, "b": [1.5]})
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
        event = journal.write("metrics", step=step)
        assert list(read(tmp_path / "run"))[-1] == event
        assert last(tmp_path / "run", "metrics") == event


def test_events_carry_the_time_in_milliseconds(journal: Journal) -> None:
    times = [journal.write("tags")["time"] for _ in range(3)]
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
    journal.write("start", name=f"a{text}b")
    journal.write("end", status="FINISHED")
    journal.close()
    events = list(read(tmp_path / "run"))
    assert kinds(events) == ["start", "end"]
    assert events[0]["name"] == f"a{text}b"


def test_a_last_line_cut_short_anywhere_costs_that_line_only(tmp_path: Path) -> None:
    writer = Journal(tmp_path)
    writer.write("start", name="sum·numpy")
    writer.write("metrics", step=1)
    writer.write("tags", values={"names": "sum·torch"})
    writer.close()
    whole = (tmp_path / JOURNAL).read_bytes()
    begin = whole.index(b'{"kind": "tags"')
    for length in range(begin, len(whole) - 2):
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        assert kinds(list(read(tmp_path))) == ["start", "metrics"], f"cut after {length} bytes"


def test_what_is_written_after_a_line_cut_short_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text('{"kind": "start", "time": 1}\n{"kind": "metr')
    again = Journal(tmp_path)
    again.write("tags", values={})
    again.write("end", status="KILLED")
    again.close()
    assert kinds(list(read(tmp_path))) == ["start", "tags", "end"]


def test_a_journal_is_only_ever_appended_to(tmp_path: Path) -> None:
    for kind in ("start", "end"):
        writer = Journal(tmp_path)
        writer.write(kind)
        writer.close()
        writer.close()  # closing twice does no harm
    assert kinds(list(read(tmp_path))) == ["start", "end"]


def test_where_there_is_no_journal_nothing_has_happened(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == []
    assert last(tmp_path, "end") is None


def test_the_latest_event_of_a_kind_is_found(journal: Journal, tmp_path: Path) -> None:
    for step in (1, 2):
        journal.write("metrics", step=step)
    journal.write("tags")
    found = last(tmp_path / "run", "metrics")
    assert found is not None
    assert found["step"] == 2
    assert last(tmp_path / "run", "end") is None


def test_a_view_sees_events_after_the_journal_and_all_at_once(tmp_path: Path) -> None:
    view = Listener(tmp_path)
    with fed(tmp_path, view, NEVER) as record:
        record.write("start", name="a")
        for epoch in range(1, 51):
            record.metrics(epoch, {"train/loss": np.array([1.0 / epoch])})
        assert view.calls == 0, "metrics wait, they are not sent one by one"
    assert view.calls == 1
    expected = ["start", *["metrics"] * 50, "file", "end"]
    assert kinds(view.received) == expected
    assert [e for e in read(tmp_path) if e["kind"] != "mlflow"] == view.received


def test_a_view_is_sent_to_when_enough_time_has_passed(tmp_path: Path) -> None:
    view = Listener(tmp_path)
    with fed(tmp_path, view, -1.0) as record:  # always long enough ago
        for epoch in (1, 2, 3):
            record.metrics(epoch, {"train/loss": np.array([1.0])})
            assert len(view.received) == epoch
    assert record.tracking_seconds > 0


def test_the_journal_says_where_a_view_shows_the_run(tmp_path: Path) -> None:
    with fed(tmp_path, Listener(tmp_path), NEVER) as record:
        record.flush()
        record.flush()
    found = [event for event in read(tmp_path) if event["kind"] == "mlflow"]
    assert len(found) == 1
    assert (found[0]["run_id"], found[0]["uri"]) == ("1", "somewhere")


FAILURES = [ConnectionError("refused"), TimeoutError(), RuntimeError("two\nlines"), OSError(5, "")]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_a_view_that_always_fails_does_not_stop_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    view = Listener(tmp_path, [failure] * 100)
    with caplog.at_level(logging.WARNING), fed(tmp_path, view, -1.0) as record:
        for epoch in range(1, 4):
            record.metrics(epoch, {"train/loss": np.array([1.0])})
    assert view.received == []
    assert kinds(list(read(tmp_path))) == ["metrics"] * 3 + ["file", "end"]
    end = last(tmp_path, "end")
    assert end is not None
    assert end["status"] == "FINISHED"
    said = [entry.getMessage() for entry in caplog.records]
    assert "did not take a batch" in said[0]
    assert (str(failure).splitlines() or [type(failure).__name__])[0] in said[0]
    assert str(tmp_path) in said[-1], "where all of it is"
    assert all("\n" not in line for line in said)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("failing", [1, 2, 4])
def test_what_a_failing_view_missed_is_sent_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, failing: int
) -> None:
    view = Listener(tmp_path, [ConnectionError("refused")] * failing)
    with caplog.at_level(logging.WARNING), fed(tmp_path, view, -1.0) as record:
        record.write("start", name="a")
        for epoch in range(1, 4):
            record.metrics(epoch, {"train/loss": np.array([float(epoch)])})
    assert view.received == [e for e in read(tmp_path) if e["kind"] != "mlflow"]
    assert kinds(view.received) == ["start", "metrics", "metrics", "metrics", "file", "end"]
    assert len(caplog.records) == failing, "one line for each batch that did not arrive"


def test_a_view_that_fails_is_left_alone_for_a_while(tmp_path: Path) -> None:
    """Each try may wait for a server's answer, and training waits with it."""
    view = Listener(tmp_path, [ConnectionError("refused")])
    with fed(tmp_path, view, -1.0) as record:
        for epoch in range(1, 100):
            record.metrics(epoch, {"train/loss": np.array([1.0])})
        assert view.calls == 1
    assert view.calls == 2, "but asked once more at the end"
    assert kinds(view.received) == ["metrics"] * 99 + ["file", "end"]


@pytest.mark.usefixtures("impatient")
def test_a_view_that_takes_a_part_is_sent_the_rest(tmp_path: Path) -> None:
    class Hesitant(Listener):
        def send(self, events: list[Event]) -> None:
            while events:
                self.received.append(events.pop(0))
                if len(self.received) % 2:
                    raise ConnectionError("refused")

    view = Hesitant(tmp_path)
    feed = EventBuffer(tmp_path, view, NEVER)
    with RunLog(tmp_path, feed) as record:
        for epoch in range(1, 6):
            record.metrics(epoch, {"train/loss": np.array([1.0])})
            record.flush()
        while feed.unsent:
            record.flush()
    assert view.received == list(read(tmp_path))


def test_a_mistake_of_the_users_is_not_taken_for_a_failing_server(tmp_path: Path) -> None:
    view = Listener(tmp_path, [ConfigError("tracking.experiment=gone: was deleted.")])
    with (  # noqa: PT012 - the events that are written are what is tested
        pytest.raises(ConfigError, match="gone"),
        fed(tmp_path, view, NEVER) as record,
    ):
        record.write("start", name="a")
        record.flush()
    assert kinds(list(read(tmp_path)))[-1] == "end"


def ending(tmp_path: Path, error: BaseException | None) -> dict[str, Any]:
    """How the journal and a view end when `error` ends the run."""
    view = Listener(tmp_path)
    try:
        with fed(tmp_path, view, NEVER) as record:
            record.metrics(1, {"train/loss": np.array([1.0])})
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error, "the record hides nothing"  # noqa: PT017 - or none is raised
    else:
        assert error is None
    event = last(tmp_path, "end")
    assert event is not None
    assert view.received[-1] == event, "the view learns how it ended"
    assert kinds(view.received)[0] == "metrics"
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
    assert files == ["traceback.txt", JOURNAL]


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
from harness.tracking.journal import Journal

Journal(Path(sys.argv[1])).write("start", name="a")
os._exit(9)
"""


def test_a_killed_process_leaves_what_it_has_written(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == 9
    assert kinds(list(read(tmp_path))) == ["start"]
