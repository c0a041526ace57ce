"""A search keeps to its budget, and says what it left out for it."""

from pathlib import Path

from harness.identify.price import Budget, affordable
from harness.identify.search import search
from harness.identify.stated import starts
from harness.recorder.recording import read_recording
from tests.identify import hand_written


def test_what_is_not_affordable_is_left_out_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    hand_written.simple(folder, semantics__adam_eps=1e-5)
    case, begun = hand_written.case_of(folder), starts(folder, read_recording(folder))
    budget = Budget(steps=2000)
    assert not search(case, begun, lambda _: None, budget).fits
    assert any("single changes of adam" in line for line in budget.left_out)
    budget = Budget()
    assert search(case, begun, lambda _: None, budget).fits
    assert not budget.left_out


def test_fewer_seconds_are_fewer_steps(tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    hand_written.simple(folder)
    case, [first, *_] = hand_written.case_of(folder), starts(folder, read_recording(folder))
    short, _, line = affordable(case, first, None, seconds=1e-9)
    assert len(short.losses) == 2
    assert line.startswith("The first 2 of 12 steps: about ")
    assert len(affordable(case, first, 5, seconds=1e-9)[0].losses) == 5
