"""Nothing is called agreement that was not compared: one notion of what was judged, on the screen,
in both certificates and in the line that closes them.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from backends import Array, State
from backends.numpy_backend import NumpyBackend
from harness.core.difference import compare
from harness.core.errors import ConfigError
from harness.parity import certificate
from harness.parity.lockstep import BackendFailed, Parity, check
from harness.parity.problem import configs, load_classes
from harness.parity.table import show
from tests.support.problems import Case
from tests.support.rounded_backend import rounded
from tests.support.wrong_backends import NamedAsInTorch

RNN = Case("judged-rnn", momentum=0.9, time_steps=5)


class WrongLikeTheOther(NamedAsInTorch):
    """The same wrong names, and wrong numbers: of two such backends, no tensor can be compared."""

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        return super().train_epoch(batches, lr) * 99


class OneReplica(NumpyBackend):
    """All replicas but the first are left out of the state."""

    def state(self) -> State:
        state = super().state()
        state.params = {name: value[:1] for name, value in state.params.items()}
        return state


class WithoutMemory(NumpyBackend):
    def state(self) -> State:
        return State(super().state().params, {}, self.step)


@pytest.mark.parametrize(
    ("one", "other", "stage"),
    [
        (NamedAsInTorch, WrongLikeTheOther, "names"),
        (OneReplica, OneReplica, "names"),
        (WithoutMemory, WithoutMemory, "optimiser slots"),
    ],
)
def test_two_with_the_same_wrong_form_do_not_agree(one: type, other: type, stage: str) -> None:
    case = Case("judged-replicas", replicas=2) if one is OneReplica else RNN
    parity = check(case.problem("float64", 6), {"one": one, "other": other})
    assert parity.first is not None
    assert parity.first.stage == stage
    assert "one against the network" in parity.first.note


def test_nothing_is_not_judged() -> None:
    assert not compare("weights", {}, {}, "float64", {}).judged


def test_what_no_band_can_judge_is_left_out() -> None:
    one = {"a": np.ones((1, 3)), "b": np.ones((1, 3))}
    other = {"a": 1.5 * one["a"], "b": one["b"] + 1e-6}
    found = compare("weights", one, other, "float32", {"a": np.array(np.inf)})
    assert (found.tensor, found.left_out) == ("b", ("a",))
    assert found.judged
    assert not found.beyond


def test_two_options_with_one_name_inside_are_two_backends() -> None:
    composed = configs(["numpy"], ["task=sum"]) * 2
    assert list(load_classes(["numpy", "mine"], composed)) == ["numpy", "mine"]


@pytest.fixture(scope="module")
def chaos() -> Parity:
    """float32 runs of which the end cannot be judged."""
    problem = Case("parity-chaos", "lstm", optimizer="adam", lr=1.0).problem("float32", 100)
    parity = check(problem, {"numpy": NumpyBackend, "rounded": rounded(0)})
    assert not parity.differences["resumed", ("numpy", "rounded")].judged
    return parity


def test_screen_says_what_was_not_judged(chaos: Parity) -> None:
    screen = Console(width=110, record=True, file=io.StringIO())
    show(chaos, ["numpy", "rounded"], 100, screen)
    text = screen.export_text()
    assert "not judged: resumed" in text
    assert "agree at every stage that could be judged: losses of steps 1 to 100, " in text


def test_certificates_say_what_was_not_judged(chaos: Parity, tmp_path: Path) -> None:
    config = configs(["numpy"], ["task=sum", "precision=float32"])[0]
    certificate.write(tmp_path, certificate.certify(chaos, config, 100, "python"))
    found: dict[str, Any] = json.loads((tmp_path / "certificate.json").read_text())
    assert "resumed" in found["not_judged"]
    (row,) = [row for row in found["stages"] if row["stage"] == "resumed"]
    assert (row["judged"], row["agrees"], row["relative_error"]) == (False, None, None)
    text = (tmp_path / "certificate.md").read_text()
    assert (
        "The backends agree at every stage that could be judged: losses of steps 1 to 100" in text
    )
    (line,) = [line for line in text.splitlines() if line.startswith("| resumed |")]
    assert line.endswith("| not judged |")


def test_agreement_at_every_stage_is_said_so() -> None:
    parity = check(RNN.problem("float64", 6), {"numpy": NumpyBackend, "again": NumpyBackend})
    assert parity.extent == "every stage"
    assert not parity.not_judged


class Breaks(NumpyBackend):
    def predict(self, x: Array, mask: Array | None = None) -> Array:
        raise ValueError("no such thing\nand more")


def test_backend_that_breaks_is_named() -> None:
    expected = r"mine broke: ValueError: no such thing \(test_judged.py, line \d+\)"
    with pytest.raises(BackendFailed, match=expected):
        check(RNN.problem("float64", 6), {"numpy": NumpyBackend, "mine": Breaks})


def test_losses_that_are_not_finite_are_refused() -> None:
    problem = Case("parity-nan", lr=1e200, loss="mse").problem("float64", 12)
    with pytest.raises(ConfigError, match="stops being finite"):
        check(problem, {"numpy": NumpyBackend, "again": NumpyBackend})
