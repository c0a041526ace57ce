"""`task=file`: a user's own arrays reach the splits unchanged, and unfit files end in one line."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.runs.run_key import run_key
from harness.training.plan import prepare
from harness.training.splits import make_splits
from tests.support.configs import config

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 5, 3)), RNG.normal(size=(20, 2))


def saved(folder: Path, **arrays: Any) -> str:
    path = folder / "mine.npz"
    np.savez(path, **arrays)
    return f"task.path={path}"


@pytest.mark.parametrize("targets", [Y, RNG.normal(size=(20, 5, 2))])
def test_arrays_are_cut_in_their_order(tmp_path: Path, targets: np.ndarray) -> None:
    words = ["task=file", saved(tmp_path, x=X, y=targets), "replicas=2", "precision=float64"]
    made = config(*words)
    splits = make_splits(made.task, made.seeds, made.precision)
    for name, rows in (("train", slice(16)), ("val", slice(16, 18)), ("test", slice(18, 20))):
        part = splits.parts[name]
        np.testing.assert_array_equal(part.x, X[None, rows])  # one replica axis for both seeds
        np.testing.assert_array_equal(part.y, targets[None, rows])


def test_one_feature_one_output_and_a_mask(tmp_path: Path) -> None:
    mask = np.arange(5) < RNG.integers(1, 6, size=(20, 1))
    word = saved(tmp_path, x=X[..., 0], y=Y[:, 0] > 0, mask=mask)
    samples = config("task=file", word, "task.loss=bce", "task.samples=9").task.generate(0)
    assert (samples.x.shape, samples.y.shape) == ((9, 5, 1), (9, 1))
    assert samples.mask is not None
    np.testing.assert_array_equal(samples.mask, mask[:9])


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    word = saved(tmp_path, x=X, y=Y)
    assert config("task=file", word).task.generate(0).x.shape == X.shape
    saved(tmp_path, x=X[:15, :4], y=Y[:15])
    assert config("task=file", word).task.generate(0).x.shape == (15, 4, 3)


@pytest.mark.parametrize(
    ("arrays", "words", "message"),
    [
        ({"x": X}, [], "has no array y"),
        ({"x": X, "y": Y[:7]}, [], "y (7, 2)"),
        ({"x": X[0, 0], "y": Y}, [], "x (3,)"),
        ({"x": X, "y": Y, "mask": np.ones((20, 4), bool)}, [], "mask"),
        ({"x": X.astype("O"), "y": Y}, [], "allow_pickle"),
        ({"x": X, "y": Y}, ["task.samples=21"], "has 20"),
        ({"x": X, "y": Y}, ["task.seed=1"], "task.seed=1: must be null"),
        ({"x": X, "y": Y}, ["task.loss=hinge"], "task.loss=hinge"),
        ({"x": X, "y": Y}, ["task.loss=bce"], "label"),
        ({"x": X * np.inf, "y": Y}, [], "finite"),
    ],
)
def test_unfit_files(
    tmp_path: Path, arrays: dict[str, Any], words: list[str], message: str
) -> None:
    word = saved(tmp_path, **arrays)
    with pytest.raises(ConfigError) as error:
        prepare(config("task=file", word, *words))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_file_of_arrays(tmp_path: Path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    for word, message in (
        ("task.path=???", "task.path: is missing"),
        (f"task.path={tmp_path}", "cannot be read"),
        (f"task.path={tmp_path}/none.npz", "cannot be read"),
        (f"task.path={text}", "not a zip file"),
    ):
        with pytest.raises(ConfigError, match=message):
            config("task=file", word)


def test_a_file_that_unpacks_to_more_than_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = saved(tmp_path, x=X, y=Y)
    monkeypatch.setattr("harness.system.npz_header.physical_memory", lambda: X.nbytes - 1)
    with pytest.raises(ConfigError, match="more than this machine's memory"):
        config("task=file", word)


def test_a_run_is_known_by_its_data_wherever_they_are(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b", "c")]
    keys = []
    for folder, y in zip(folders, (Y, Y, Y + 1), strict=True):
        folder.mkdir()
        keys.append(run_key(prepare(config("task=file", saved(folder, x=X, y=y)))))
    assert keys[0] == keys[1] != keys[2]


def test_no_damage_gives_more_than_a_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, x=X, y=Y)
    whole, messages = path.read_bytes(), list[str]()
    for place in range(0, len(whole), len(whole) // 150):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        os.utime(path, ns=(place, place))  # clocks tick too slowly for this loop
        try:
            config("task=file", f"task.path={path}")
        except ConfigError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert not any("\n" in message for message in messages)
