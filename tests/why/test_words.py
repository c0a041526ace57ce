"""An answer in words: numbers with their errors, the sentence, the caption, the headline."""

from dataclasses import replace

import numpy as np
import pytest

from harness.config.compose import compose
from harness.why.answer import Answer, explain
from harness.why.sentences import (
    caption,
    distinct,
    headline,
    interplay,
    number,
    percent,
    plus_minus,
    sentence,
)
from harness.why.shapley import half_width
from tests.support.why_questions import SMALL, ask, lr_and_others, outcome


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.714, "71 %"), (0.0042, "0.4 %"), (-0.12, "−12 %"), (1.3, "130 %"), (-1e-9, "0 %")],
)
def test_shares_in_words(share: float, text: str) -> None:
    assert percent(share) == percent(share, 0.0001) == text


@pytest.mark.parametrize(
    ("share", "half", "text"),
    [
        (0.583, 0.141, "58 ± 14 %"),
        (0.064, 0.0534, "6 ± 5 %"),
        (-0.0042, 0.0031, "−0.4 ± 0.3 %"),
        (-0.001, 0.02, "0 ± 2 %"),
        (1.0, 0.0006, "100.0 ± 0.1 %"),
    ],
)
def test_shares_with_their_errors(share: float, half: float, text: str) -> None:
    assert percent(share, half) == text


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.71134, 0.0299, "0.711 ± 0.030"),
        (-12.34, 1.5, "−12.3 ± 1.5"),
        (1234.5, 321.0, "1234 ± 321"),
        (0.0123451, 0.0000512, "(1.2345 ± 0.0051)e−2"),
        (3.2e-7, 1.23e-7, "(3.2 ± 1.2)e−7"),
        (3.2e-7, 1.23e-8, "(3.20 ± 0.12)e−7"),
        (-1e-10, 1.23e-9, "(−0.1 ± 1.2)e−9"),
        (0.5, 1e-17, "0.5"),
        (0.5, 0.0, "0.5"),
        (0.5, float("inf"), "0.5 ± ∞"),
    ],
)
def test_numbers_with_their_errors(mean: float, half: float, text: str) -> None:
    assert plus_minus(mean, half) == text


def test_zero_has_no_sign() -> None:
    assert plus_minus(-0.3, 11.0) == "0 ± 11"
    assert plus_minus(-0.0001, 0.012) == "0.000 ± 0.012"
    assert plus_minus(-1e-10, 4.2e-8) == "(0.0 ± 4.2)e−8"
    assert number(-0.0) == "0"


@pytest.mark.parametrize(
    ("one", "other", "texts"),
    [
        (0.3412, 0.2361, ("0.341", "0.236")),
        (12.5126142, 12.5126139, ("12.5126142", "12.5126139")),
        (12.5, 12.5001, ("12.5000", "12.5001")),
        (2.0, 2.0, ("2", "2")),
        (-0.0, 1.0, ("0", "1")),
    ],
)
def test_levels_have_the_digits_that_tell_them_apart(
    one: float, other: float, texts: tuple[str, str]
) -> None:
    assert distinct(one, other) == texts


def test_a_setting_that_works_against_the_gap_is_said_to() -> None:
    question = ask("b.optimizer.lr=0.001", "b.trainer.batch_size=24")
    values = {0: [0.0, 0.1], 1: [3.0, 3.1], 2: [-1.0, -0.9], 3: [2.0, 2.1]}
    full = {mask: np.array([row] * 2) for mask, row in values.items()}
    ends = np.stack([full[0], full[3]])
    outcome = explain(question.measures, ends, ends, full, question.design)[0]
    assert sentence(question, outcome).startswith(
        "Of the gap of 2 in final val/loss, 150 % is optimizer.lr, "
        "−50 % trainer.batch_size (against it); "
    )


def test_the_sentence_gives_every_share_its_interval_and_marks_noise() -> None:
    """With two seeds a half width is 12.706 / 2 of their difference."""
    found = outcome([[0.8, 0.81], [0.19, 0.2], [0.0, 0.01]], [0.0, 0.0])
    [half] = half_width(np.array([[0.0, 0.01]]))
    assert 100 * half / found.gap == pytest.approx(6.3, abs=0.05)
    assert sentence(lr_and_others(3), found) == (
        "Of the gap of 1.00 ± 0.19 in loss, 80 ± 6 % is optimizer.lr, 19 ± 6 % "
        "trainer.batch_size, 0 ± 6 % trainer.clip (within the noise); both sides are trained by "
        "numpy, so no framework has a part."
    )


def test_the_interval_of_a_sum_is_that_of_the_summed_seeds() -> None:
    """Two parts that are noisy alone and steady together."""
    found = outcome([[1.0, 1.0], [0.5, -0.1], [-0.4, 0.2]], [0.0, 0.0])
    mean, half = found.together([1, 2])
    assert (mean, half) == pytest.approx((0.1, 0.0), abs=1e-15)
    assert "9.1 % the other 2 together;" in sentence(lr_and_others(3), found)
    sampled = outcome([[1.0, 1.0], [0.5, -0.1], [-0.4, 0.2]], [0.0, 0.0], sampling=0.3)
    assert sampled.together([1, 2])[1] == pytest.approx(0.3 * np.sqrt(2))
    assert "9 ± 39 % the other 2 together (within the noise);" in sentence(
        lr_and_others(3), sampled
    )


def test_a_largest_part_against_the_gap_is_a_sentence_too() -> None:
    found = outcome([[-1.04, -1.04], [0.5, 0.5]], [2.54, 2.54])
    assert "−52 % is optimizer.lr (against it), 25 % trainer.batch_size; " in sentence(
        lr_and_others(), found
    )


def test_the_frameworks_part_is_small_only_if_its_interval_is() -> None:
    question = replace(lr_and_others(1), b=compose([*SMALL, "backend=torch"]))
    steady, noisy, real = (
        sentence(question, outcome([[1.0, 1.0]], left))
        for left in ([1e-5, 2e-5], [-0.01, 0.011], [0.1, 0.101])
    )
    assert steady.endswith("account for less than 0.1 %.")
    assert noisy.endswith("account for 0 ± 13 %, which is within the noise.")
    assert real.endswith("account for 9.1 ± 0.6 %.")


def test_interplay_that_is_rounding_is_nothing() -> None:
    found = outcome([[1.0, 1.0], [0.5, 0.5]], [0.0, 0.0])
    assert "do not interplay" in interplay(found)
    half = replace(found, alone_a=found.alone_a + 1e-17, alone_b=found.alone_b - 0.1)
    assert "the rest, nothing and 0.2, is interplay" in interplay(half)


def test_the_caption_quotes_the_errors_of_the_table_that_is_shown() -> None:
    question = lr_and_others()
    question = replace(question, design=replace(question.design, orders=[[0, 1], [1, 0]]))
    noise = replace(outcome([[9.0, -9.0], [0.0, 0.0]], [0.0, 0.0], 0.7), name="first")
    real = replace(outcome([[1.0, 1.0], [0.5, 0.5]], [0.0, 0.0], 0.25), name="second")
    said = caption(question, Answer(outcomes=[noise, real], divided=True, values={}, seconds=0.0))
    assert "of the largest part of second: ±0 and ±0.25" in said


def test_the_headline_has_layers() -> None:
    layered = ask("a.model.layers=2", "b.model.units=8")
    assert headline(layered) == "sum · rnn 2×4 / rnn 8 · A numpy as matched · B numpy as matched"
