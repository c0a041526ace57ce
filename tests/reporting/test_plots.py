"""A picture is the same whatever was drawn before it: panels are used again."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from harness.reporting import plots
from harness.tasks import Bound


def falling(epochs: int, start: float, replicas: int = 1) -> list[list[float]]:
    return [[start / (epoch + r) for r in range(1, replicas + 1)] for epoch in range(epochs)]


def loss(start: float, epochs: int, replicas: int = 1, bound: Bound | None = None) -> Callable:
    curves = {
        "train/loss": falling(epochs, start, replicas),
        "val/loss": falling(epochs, 2, replicas),
    }
    return partial(plots.draw_loss, curves=curves, bound=bound, title=f"loss {start}")


def predictions(kind: str, true: list[float], samples: int = 4) -> Callable:
    steps = np.arange(len(true)) % (len(true) // samples)
    columns = {"split": "test", "replica": 0, "sample": 0, "time_step": steps, "output": 0}
    table = pd.DataFrame(
        columns | {"true": true, "predicted": np.linspace(-1, 0.9, len(true)) ** 2}
    )
    return partial(plots.draw_predictions, table=table, loss=kind, title=kind)


PICTURES = {
    "narrow": loss(1.0, 2),
    "wide": loss(1.0, 40),
    "very wide": loss(1e4, 900),
    "small": loss(2e-3, 900),
    "one epoch": loss(3.0, 1, bound=Bound(0.5, "noise")),
    "replicas": loss(2.0, 12, replicas=5),
    "numbers": predictions("mse", [0.5, 1, 30, 2.25]),
    "labels": predictions("bce", [0, 1, 1, 0, 1, 0, 0, 1]),
    "soft labels": predictions("bce", [0, 0.9, 1, 0, 1, 0, 0.5, 1]),
    "small numbers": predictions("mse", [-0.00025, 0, 0.0001, 0.00025]),
    "no targets": predictions("mse", [np.nan] * 12, samples=1),
}


def drawn(name: str, folder: Path) -> bytes:
    path = folder / "picture.png"
    PICTURES[name](path)
    return path.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_the_same_after_any_other(name: str, tmp_path: Path) -> None:
    plots.panel.cache_clear()
    fresh = drawn(name, tmp_path)
    for before in PICTURES:
        drawn(before, tmp_path)
        assert drawn(name, tmp_path) == fresh, before


@pytest.mark.parametrize("name", ["wide", "numbers"])
def test_picture_is_the_same_whatever_the_user_has_set(name: str, tmp_path: Path) -> None:
    plots.panel.cache_clear()
    usual = drawn(name, tmp_path)
    plots.panel.cache_clear()
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "text.usetex": True}):
        assert drawn(name, tmp_path) == usual
        assert matplotlib.rcParams["font.size"] == 30


def test_pictures_differ(tmp_path: Path) -> None:
    assert len({drawn(name, tmp_path) for name in PICTURES}) == len(PICTURES)


@pytest.mark.parametrize("name", PICTURES)
def test_label_stands_clear_of_the_numbers(name: str, tmp_path: Path) -> None:
    plots.panel.cache_clear()
    drawn(name, tmp_path)
    for size in ((6.4, 4.0), (5.0, 4.4)):
        made, axis = plots.panel(*size)
        made.canvas.draw()
        numbers = [text for text in axis.get_yticklabels(which="both") if text.get_text()]
        left = min(text.get_window_extent().x0 for text in numbers)
        label = axis.yaxis.label.get_window_extent()
        assert label.x0 >= 0
        assert label.x1 < left
