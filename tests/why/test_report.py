"""The report of an answer: its tables, its picture, and the command that it suggests next."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config.compose import compose
from harness.reporting.plots import figure
from harness.why import plot
from harness.why.answer import Answer, Outcome, Question
from harness.why.follow_up import follow_up
from tests.support.why_questions import SMALL, ask, lr_and_others, outcome


def test_tables_have_shares_with_their_intervals_as_text_and_as_numbers() -> None:
    from harness.why import report

    question = lr_and_others()
    found = outcome([[0.9, 1.0], [0.05, -0.05]], [0.0, 0.0])
    shares = ["100 ± 67 %", "(0 ± 67 %)", "", "100 %"]
    assert report.shown(question, found)["share"].tolist() == shares
    bare = report.shown(question, found, errors=False)["share"].tolist()
    assert bare == ["100 %", "(0 %)", "", "100 %"]
    table = report.records(question, found)
    assert table["within_noise"].tolist() == [False, True, True, False]
    np.testing.assert_allclose(table["share_half"], table["half"] / found.gap)


def test_the_picture_keeps_its_columns_apart_and_its_bars_wide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long labels on the left, long numbers on the right, a gap that is tiny beside the losses."""
    long = ("a.optimizer=rmsprop", "a.optimizer.lr=0.003", "a.optimizer.weight_decay=0.01")
    question = ask(*long, "b.trainer.batch_size=24")
    tiny = outcome([[-1.43e-6, -1.38e-6], [2e-7, -3e-7]], [0.0, 0.0])
    level = np.full(2, 12.5)
    made = drawn(question, replace(tiny, a=level, b=level + tiny.b), tmp_path, monkeypatch)
    [axis] = made.axes
    renderer = made.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axis.texts if text.get_text()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    plot = axis.get_window_extent(renderer)
    assert not any(box.overlaps(plot) for box in boxes)
    assert plot.width > 0.45 * made.bbox.width
    assert axis.xaxis.get_offset_text().get_text() == ""
    assert axis.texts[0].get_text() != axis.texts[3].get_text()


def drawn(question: Question, found: Outcome, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The figure of a waterfall."""
    kept = []
    monkeypatch.setattr(plot, "figure", lambda *a, **k: kept.append(figure(*a, **k)) or kept[0])
    plot.draw_waterfall(folder / "why.png", question, [found], "title")
    return kept[0][0]


def test_what_is_suggested_takes_the_place_of_what_it_overrules() -> None:
    words = ["replicas=3", "b.model.units=8", "+replicas=4", "trainer.epochs=2", "--"]
    nothing = Answer(outcomes=[outcome([], [1.0, -1.0])], divided=False, values={}, seconds=0.0)
    said = follow_up(ask("b.model.units=8", "replicas=4"), nothing, words)
    assert said == ["b.model.units=8", "trainer.epochs=2", "replicas=8"]
    divided = Answer(
        outcomes=[outcome([[1.0, 1.0], [0.1, 0.1]], [0.0, 0.0])],
        divided=True,
        values={},
        seconds=0.0,
    )
    words = ["b.optimizer.lr=0.001", "b.trainer.batch_size=24", "optimizer.lr=0.01"]
    assert follow_up(lr_and_others(), divided, words) == [*words[1:], "b.optimizer.lr=0.01"]


def test_the_only_difference_is_not_taken_away() -> None:
    divided = Answer(
        outcomes=[outcome([[1.0, 1.0]], [0.0, 0.0])], divided=True, values={}, seconds=0.0
    )
    assert follow_up(lr_and_others(1), divided, ["b.optimizer.lr=0.001"]) == []
    between = replace(lr_and_others(1), b=compose([*SMALL, "backend=torch"]))
    assert follow_up(between, divided, ["x=1"]) == ["x=1", "b.optimizer.lr=0.01"]
