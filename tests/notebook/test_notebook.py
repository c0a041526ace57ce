"""Runs as Python objects say what their files say, and a docstring's example runs as it stands."""

import doctest
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import harness
from harness import Run, check_agreement, compare_runs, find_runs, load_run, run
from harness.config.compose import compose
from harness.core.errors import ConfigError
from harness.training.plan import prepare
from tests.support import ROOT, program

SMALL = ("task.samples=40", "trainer.epochs=3", "model.units=4", "tracking=journal")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def runs(folder: Path) -> tuple[Run, Run]:
    """Runs of two replicas, the second with a larger learning rate."""
    settings = (*SMALL, f"results={folder}", "replicas=2", "task.test_fraction=0.2")
    return run(*settings), run(*settings, "optimizer.lr=0.02")


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(sys.modules[harness.run.__module__.rpartition(".")[0]])
    assert tried > 5
    assert failed == 0


def test_a_run_is_what_its_journal_says(runs: tuple[Run, Run]) -> None:
    first, _ = runs
    assert first.status == "FINISHED"
    assert first.name == "sum·numpy·rnn·s0-1·samples=40·epochs=3·units=4"
    assert first.curves.index.tolist() == [(e, r) for e in (1, 2, 3) for r in (0, 1)]
    for name in ("train/loss", "val/loss"):
        journalled = program.journalled(first.directory, name)
        values = [v for _, replicas in journalled for v in replicas]
        assert first.curves[name].tolist() == values
        assert first.values[name].tolist() == journalled[-1][1]
    assert first.values["test/loss"].shape == (2,)
    assert first.settings["model.units"] == 4


def test_a_run_predicts_as_it_did(runs: tuple[Run, Run]) -> None:
    first, _ = runs
    plan = prepare(compose([*SMALL, "replicas=2", "task.test_fraction=0.2"]))
    x = plan.splits.parts["test"].x  # (2, N, T, F); the task does not scale
    rows = first.predictions.query("split == 'test'")
    for replica in (0, 1):
        expected = rows.query("replica == @replica")["predicted"].to_numpy()
        np.testing.assert_allclose(first.predict(x[replica], replica)[:, 0], expected, rtol=1e-5)
    assert not np.allclose(first.predict(x[0], 0), first.predict(x[0], 1))
    assert first.weights["rnn.0.kernel"].shape == (2, 1, 4)


def test_a_run_is_found_by_directory_and_name(runs: tuple[Run, Run], folder: Path) -> None:
    first, second = runs
    for word in (first.directory, first.directory.name):
        again = load_run(word, folder)
        assert again.directory == first.directory
        assert again.curves.equals(first.curves)
    assert [each.directory for each in find_runs(folder)] == [first.directory, second.directory]


def test_a_damaged_run_hides_no_other(runs: tuple[Run, Run], tmp_path: Path) -> None:
    for each in runs:
        shutil.copytree(each.directory, tmp_path / each.directory.name)
    damaged, whole = sorted(tmp_path.iterdir())
    (damaged / "config.yaml").write_text("task: [")
    with pytest.warns(UserWarning, match=r"config.yaml: is damaged"):
        assert [each.directory for each in find_runs(tmp_path)] == [whole]


def test_early_stopping_gives_the_values_of_the_best_epoch(tmp_path: Path) -> None:
    stopped = run(
        *("task.samples=40", "trainer.epochs=40", "trainer.patience=2", "optimizer.lr=0.3"),
        *("tracking=journal", f"results={tmp_path}"),
    )
    assert stopped.values["val/loss"][0] == stopped.curves["val/loss"].min()
    assert stopped.values["val/loss"][0] < stopped.curves["val/loss"].iloc[-1]


def test_a_comparison_shows_what_differs(runs: tuple[Run, Run]) -> None:
    table = compare_runs(*runs)
    assert table["optimizer.lr"].tolist() == [0.001, 0.02]
    assert "model.units" not in table
    assert "seed" not in table
    gaps, losses = table["gap"].tolist(), table["val/loss"].tolist()
    assert gaps[0] == 0
    assert gaps[1] > 0.01
    assert losses[0] == pytest.approx(runs[0].values["val/loss"].mean())


def test_agreement_is_checked_and_not_taken_for_granted() -> None:
    words = ("task.samples=40", "model.units=4", "trainer.epochs=3")
    assert check_agreement(["numpy", "torch"], *words, steps=4).agrees
    with pytest.raises(ConfigError, match="nimpy"):
        check_agreement(["numpy", "nimpy"], *words)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("task=summ", "Did you mean 'sum'"),
        ("resume=x", "resume=x: runs are resumed on the command"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(
    override: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        run(override, f"results={tmp_path}")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.rglob("*")) == []


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        run(*SMALL, "task.val_fraction=0.99", "task.samples=2", f"results={tmp_path / 'new'}")
    assert list(tmp_path.rglob("*")) == []


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, harness; print(*{'numpy', 'pandas', 'hydra', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == []
    assert done.returncode == 0
    with pytest.raises(AttributeError, match="no attribute 'rum'"):
        harness.rum  # noqa: B018
