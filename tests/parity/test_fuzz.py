"""Random configurations: what is counted, what is shrunk and for how long, and what is said of a
backend that breaks, or that differs now and then.
"""

import io
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from backends import Array
from backends.numpy_backend import NumpyBackend
from backends.numpy_backend.network import Network
from harness.core.errors import ConfigError
from harness.parity import fuzz as module
from harness.parity.lockstep import check
from harness.parity.problem import configs, problem_of, with_scattered_padding
from tests.support.wrong_backends import TransposedRecurrentKernel

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def time_to_shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(module, "SHRINK_SECONDS", math.inf)


def run(
    monkeypatch: pytest.MonkeyPatch,
    mine: type[NumpyBackend],
    count: int,
    *given: str,
    own: Path | None = None,
) -> tuple[int, str]:
    """The exit code and what is printed of numpy against `mine`."""
    classes = {"numpy": NumpyBackend, "mine": mine}
    monkeypatch.setattr(module, "load_classes", lambda *_: classes)
    compose = module.configs
    monkeypatch.setattr(module, "configs", lambda _, *rest: compose(["numpy"], *rest))
    printed = io.StringIO()
    screen = Console(width=110, file=printed)
    code = module.fuzz(count, 0, list(classes), list(given), own, screen)
    return code, printed.getvalue()


def test_diverging_configurations_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head without bounds and so large a step: few losses stay finite."""
    given = ("optimizer=sgd", "optimizer.lr=1e30", "trainer.clip=null", "model.head=dense")
    code, text = run(monkeypatch, NumpyBackend, 6, *given, "task.labels=false")
    assert code == 0
    assert "agree in 6 configurations" in text
    assert "more were not compared: no backend's loss stays finite" in text


def test_nothing_compared_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def diverges(*_: Any) -> None:
        asked.append(1)
        raise ConfigError("the loss of every backend stops being finite")

    monkeypatch.setattr(module, "problem_of", lambda *_: None)
    monkeypatch.setattr(module, "with_scattered_padding", lambda problem: problem)
    monkeypatch.setattr(module, "check", diverges)
    with pytest.raises(ConfigError, match="none of the configurations could be compared: the loss"):
        run(monkeypatch, NumpyBackend, 500)
    assert len(asked) == module.HOPELESS


def test_progress_counts_what_was_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = []
    monkeypatch.setattr(module.Count, "update", lambda self: counted.append(self.total))
    run(monkeypatch, NumpyBackend, 12)
    assert len(counted) == 12


class NowAndThen(NumpyBackend):
    """One prediction in forty is off."""

    turn = itertools.count()

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        return super().predict(x, mask) * (1 + 0.1 * (next(self.turn) % 40 == 39))


def test_backend_that_differs_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = run(monkeypatch, NowAndThen, 20)
    assert code == 1
    assert "numpy and mine differ, but not each time: " in text
    assert "task=gaussian" in text


class Breaks(NumpyBackend):
    def predict(self, x: Array, mask: Array | None = None) -> Array:
        if self.model.cell == "gru":
            raise RuntimeError("no gru here")
        return super().predict(x, mask)


def test_backend_that_breaks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = run(monkeypatch, Breaks, 30)
    assert code == 1
    assert "mine broke: RuntimeError: no gru here (test_fuzz.py, line" in text
    assert "model=gru model.layers=1 model.units=1" in text
    assert "backends=[numpy,mine]" in text


def test_shrinking_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "SHRINK_SECONDS", 0.0)
    tried = []
    monkeypatch.setattr(module, "problem_of", lambda *a: tried.append(a[0]) or problem_of(*a))
    code, text = run(monkeypatch, TransposedRecurrentKernel, 30)
    assert code == 1
    assert "shrinking was cut short after 0 s" in text
    assert len({str(config) for config in tried[-3:]}) < 3  # the last that failed, once more
    assert "PLEASE REPORT" not in "".join(capfd.readouterr())


def test_a_shrunk_failure_is_not_called_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = run(monkeypatch, TransposedRecurrentKernel, 30)
    assert code == 1
    assert "cut short" not in text


class RightPaddingNetwork(Network):
    """Of a mask only the number of real steps is seen."""

    def forward(self, x: Array, mask: Array | None) -> tuple[Array, list[Any]]:
        if mask is not None:
            length = mask.sum(axis=-1, keepdims=True)
            mask = (np.arange(mask.shape[-1]) < length).astype(mask.dtype)
        return super().forward(x, mask)


class RightPaddingOnly(NumpyBackend):
    _network = RightPaddingNetwork


def test_padding_is_taken_to_be_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = run(monkeypatch, RightPaddingOnly, 60)
    assert code == 1
    assert "--scatter-padding" in text


def test_scattered_padding_is_everywhere_and_always_the_same() -> None:
    words = ["task=gaussian", "task.length=6", "task.lengths='1:6'"]
    problem = problem_of(configs(["numpy"], words)[0], 20)
    mask, again = (with_scattered_padding(problem).data.mask for _ in range(2))
    before = problem.data.mask
    assert mask is not None
    assert before is not None
    assert again is not None
    assert np.array_equal(mask, again)
    assert not mask[:, 0].any()  # a sequence of padding alone
    assert not mask[:, 1:, 0].all()  # padding at the first step
    assert np.array_equal(mask[:, 1:].sum(axis=2), before[:, 1:].sum(axis=2))
    both = {"numpy": NumpyBackend, "right": RightPaddingOnly}
    assert check(problem, both).agrees
    assert not check(with_scattered_padding(problem), both).agrees


def test_given_folder_is_in_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, text = run(monkeypatch, RightPaddingOnly, 60, own=tmp_path)
    assert code == 1
    words = " ".join(text.split())
    assert "backends=[numpy,mine]' --steps 24 --scatter-padding --config-dir" in words
