"""A line that lacks what its kind of event needs counts as damaged, wherever it is read."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.file_names import JOURNAL
from harness.tracking.event_fields import NEEDED, is_valid
from harness.tracking.journal import Event, end_of
from tests.support import program

TIME = {"time": 1}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Every event of a sweep with a job that is refused, as their journals have them."""
    folder = tmp_path_factory.mktemp("sweep")
    tiny = ["model.units=2", "trainer.epochs=2", "backend=numpy"]
    program.run(folder, "-m", *tiny, "seed=0,1", "task.samples=40,2")  # 2 cannot be split
    paths = folder.rglob(JOURNAL)
    journals = [path.read_bytes() for path in paths if "artifacts" not in path.parts]
    return [json.loads(line) for text in journals for line in text.splitlines()]


def test_what_a_sweep_writes_is_valid(recorded: list[Event]) -> None:
    assert [event for event in recorded if not is_valid(event)] == []
    kinds = {event["kind"] for event in recorded}
    assert kinds >= {"sweep", "job", "refused", "start", "metrics", "scalars", "dataset", "end"}


def test_an_event_without_a_field_that_it_needs_is_not(recorded: list[Event]) -> None:
    for event in recorded:
        for name in ("kind", "time", *NEEDED[event["kind"]]):
            assert not is_valid({n: v for n, v in event.items() if n != name}), (event, name)


@pytest.mark.parametrize(
    "values",
    [{"a": 1.0}, {"a": "1"}, {"a": [1.0], "b": [1.0, 2.0]}, {"a": [[1.0]]}, {"a": [True]}, [], 1],
)
def test_metrics_have_a_number_for_each_replica(values: Any) -> None:
    assert is_valid({"kind": "metrics", "step": 1, "values": {"a": [1.0], "b": [2]}} | TIME)
    assert not is_valid({"kind": "metrics", "step": 1, "values": values} | TIME)


@pytest.mark.parametrize("content", [None, [], "end", 1, {}, {"kind": None}, {"kind": ["end"]}])
def test_what_is_no_event_is_not_valid(content: Any) -> None:
    assert not is_valid(content)


def test_where_there_is_no_journal_there_is_no_end(tmp_path: Path) -> None:
    assert end_of(tmp_path) is None
