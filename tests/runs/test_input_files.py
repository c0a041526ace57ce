"""A run whose file of data or of weights is gone, has moved or has changed since.

Decides that it is resumed, repeated and compared with what it began with, or refused in one line.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.core.file_names import DATA, FINAL_WEIGHTS
from harness.parity import __main__ as parity
from harness.reproduce import __main__ as reproduce
from harness.runs import input_files
from harness.why import __main__ as why
from tests.support import program
from tests.support.program import uses_mlflow
from tests.support.resumed_runs import curve, run, settings

pytestmark = uses_mlflow
MODEL = ("model.units=5", "precision=float64", "trainer.batch_size=16")


def write_data(path: Path, seed: int = 0) -> str:
    x = np.random.default_rng(seed).normal(size=(40, 4, 3))
    np.savez(path, x=x, y=x.sum(1))
    return f"task.path={path}"


def trained(folder: Path, *words: str) -> Path:
    """A run of three epochs on `mine.npz` in `folder`, from the weights of another run."""
    first, second = folder / "results/runs/first", folder / "results/runs/second"
    data = ("task=file", write_data(folder / "mine.npz"), *MODEL, f"results={folder}/results")
    run(first, *data, "trainer.epochs=1", "tracking=journal")
    weights = f"model.weights={first / FINAL_WEIGHTS}"
    run(second, *data, "trainer.epochs=3", weights, *(words or ("tracking=journal",)))
    return second


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The losses of six epochs in one go on."""
    folder = tmp_path_factory.mktemp("whole")
    on(trained(folder), folder / "on")
    return curve(folder / "on")


def on(found: Path | str, directory: Path, *words: str) -> None:
    run(directory, f"resume={found}", "trainer.epochs=6", "tracking=journal", *words)


def gone(folder: Path) -> None:
    (folder / "mine.npz").unlink()


def changed(folder: Path) -> None:
    write_data(folder / "mine.npz", seed=1)


@pytest.mark.parametrize("happens", [gone, changed])
def test_data_that_are_gone_or_changed_are_the_runs_own(
    tmp_path: Path, whole: np.ndarray, happens: Callable[[Path], None]
) -> None:
    found = trained(tmp_path)
    happens(tmp_path)
    on(found, tmp_path / "on")
    np.testing.assert_array_equal(curve(tmp_path / "on"), whole)
    assert (tmp_path / "on" / DATA).read_bytes() == (found / DATA).read_bytes()
    gone_on = tmp_path / "on"
    shutil.rmtree(found)
    on(gone_on, tmp_path / "further", "trainer.epochs=7")
    np.testing.assert_array_equal(curve(tmp_path / "further")[:6], whole)


def test_data_that_are_as_they_were_are_read_where_they_are(tmp_path: Path) -> None:
    found = trained(tmp_path)
    task: Any = settings(tmp_path / "on", f"resume={found}", "trainer.epochs=6").task
    assert task.path == str(tmp_path / "mine.npz")


def test_results_may_move(tmp_path: Path, whole: np.ndarray) -> None:
    trained(tmp_path)
    (tmp_path / "results").rename(tmp_path / "moved")
    gone(tmp_path)
    on("second", tmp_path / "on", f"results={tmp_path}/moved")
    np.testing.assert_array_equal(curve(tmp_path / "on"), whole)


def test_mlflow_alone_has_all_that_is_needed(tmp_path: Path, whole: np.ndarray) -> None:
    program.with_database(tmp_path)
    found = trained(tmp_path, "tracking=mlflow")
    shutil.rmtree(found.parent)
    gone(tmp_path)
    name = program.tracked(tmp_path)[0].info.run_id
    on(name, tmp_path / "on", f"results={tmp_path}/results")
    np.testing.assert_array_equal(curve(tmp_path / "on"), whole)
    sides = [name, name, "b.optimizer.lr=0.1", f"results={tmp_path}/results"]
    question = why.read_question(why.parse_arguments(sides))
    assert [player.name for player in question.players] == ["optimizer.lr"]


def test_data_too_large_to_be_kept_are_named_anew(
    tmp_path: Path, whole: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(input_files, "LARGEST", 100)
    found = trained(tmp_path)
    assert not (found / DATA).exists()
    other = (tmp_path / "mine.npz").rename(tmp_path / "elsewhere.npz")
    with pytest.raises(ConfigError, match=r"task\.path=.*mine\.npz: cannot be read .*; name a"):
        on(found, tmp_path / "refused")
    on(found, tmp_path / "on", f"task.path={other}")
    np.testing.assert_array_equal(curve(tmp_path / "on"), whole)
    changed(tmp_path)
    for words in ((), (f"task.path={tmp_path}/mine.npz",)):
        with pytest.raises(ConfigError, match=r"mine\.npz: does not hold the data of resume="):
            on(found, tmp_path / "refused", *words)
    assert not (tmp_path / "refused").exists()


def test_a_damaged_copy_is_refused(tmp_path: Path) -> None:
    found = trained(tmp_path)
    gone(tmp_path)
    write_data(found / DATA, seed=1)
    with pytest.raises(ConfigError, match=rf"{DATA}: is damaged"):
        on(found, tmp_path / "on")


def test_it_is_repeated_without_the_files(tmp_path: Path, capsys: Any) -> None:
    found = trained(tmp_path)
    gone(tmp_path)
    shutil.rmtree(found.parent / "first")  # whose weights it began with
    assert reproduce.main([str(found)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["trainer.epochs=2"], ["optimizer.lr=0.1", "model.weights=null"]]
)
def test_a_run_is_what_parity_compares_backends_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, words: list[str]
) -> None:
    trained(tmp_path)
    gone(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert parity.main(["second", "backends=numpy,torch", "--steps", "2", *words]) == 0
    [certificate] = Path("results/parity").glob("*/certificate.json")
    used = json.loads(certificate.read_text())["settings"]
    assert used["task.path"] == str(tmp_path / "results/runs/second" / DATA)
    key, _, value = words[0].partition("=")
    assert str(used[key]) == value
    capsys.readouterr()
    for wrong, message in (
        (["first", "second"], "first second: name one run, without --fuzz, or none."),
        (["second", "--fuzz", "2"], "second: name one run, without --fuzz, or none."),
        (["third"], "third: there is no such"),
    ):
        assert parity.main(wrong) == 2
        assert message in capsys.readouterr().err


def test_order_and_rates_that_are_gone_or_changed_are_the_runs_own(tmp_path: Path) -> None:
    order, rates = tmp_path / "order.npy", tmp_path / "rates.npy"
    rng = np.random.default_rng(0)
    np.save(order, np.stack([rng.permutation(32).reshape(2, 16) for _ in range(6)]))
    np.save(rates, np.linspace(0.1, 0.01, 12))
    given = (f"trainer.order={order}", f"trainer.learning_rates={rates}", "optimizer.lr=0.1")
    given += ("task.val_fraction=0", "task.test_fraction=0.2", "tracking=journal")
    (tmp_path / "short").mkdir()
    whole = trained(tmp_path, *given, "trainer.epochs=6")
    found = trained(tmp_path / "short", *given)
    order.unlink()
    np.save(rates, np.full(12, 0.1))
    on(found, tmp_path / "on")
    np.testing.assert_array_equal(curve(tmp_path / "on"), curve(whole))
