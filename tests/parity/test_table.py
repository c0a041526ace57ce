"""The table of a comparison: it fits 80 columns, and each stage shows who differs, and where."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from backends.numpy_backend import NumpyBackend
from harness.parity.lockstep import Parity, check
from harness.parity.table import show
from tests.support.problems import Case
from tests.support.wrong_backends import StaleMemory

LSTM = Case("parity-lstm", "lstm", optimizer="adam", lr=0.002, time_steps=5)
NAMES = ("numpy", "torch", "keras", "jax")


@pytest.fixture(scope="module")
def parity() -> Parity:
    """Four backends of which the second is wrong."""
    classes = {name: StaleMemory if name == "torch" else NumpyBackend for name in NAMES}
    return check(LSTM.problem("float64", 12), classes)


def lines(parity: Parity, steps: int = 12) -> list[str]:
    screen = Console(width=80, record=True, file=io.StringIO())
    show(parity, list(NAMES), steps, screen)
    return [line.rstrip() for line in screen.export_text().splitlines()]


def test_it_fits_80_columns(parity: Parity) -> None:
    text = lines(parity)
    assert max(map(len, text)) <= 80, "\n".join(text)
    assert text[0].split() == ["stage", "error", "limit", "pair", "at"]


def test_a_stage_without_a_difference_is_one_line(parity: Parity) -> None:
    stages = [line.split("  ")[0] for line in lines(parity)]
    between = stages[stages.index("names") : stages.index("optimiser slots")]
    assert between == ["names", "hidden states", "outputs", "loss", "gradients"]


def test_pairs_that_differ_are_below_each_other(parity: Parity) -> None:
    text = lines(parity)
    first = next(i for i, line in enumerate(text) if line.startswith("optimiser slots"))
    rows = text[first : first + 3]
    pairs = ("numpy · torch", "torch · keras", "torch · jax")
    for row, pair in zip(rows, pairs, strict=True):
        assert f"1e-10  {pair}" in row
        assert row.endswith("v of rnn.0.kernel")
    assert text[first + 3].startswith("weights")


def test_which_steps_were_compared_is_said(parity: Parity) -> None:
    said = "losses of steps 1 to 12, resumed at step 13, everything else of step 1"
    assert any(said in line for line in lines(parity))
    sound = replace(parity, first=None, first_pair=None)
    assert any(f"agree at every stage: {said}." in line for line in lines(sound))
    one = "agree at every stage: losses of step 1, resumed at step 2, everything else of step 1."
    assert any(one in line for line in lines(sound, steps=1))
