"""`harness repeat`: its files, its verdict, which can fail, and mistakes in one line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from harness.config.compose import compose
from harness.console.command_line import override
from harness.core.errors import ConfigError
from harness.repeat.__main__ import main
from harness.training.plan import prepare
from tests.identify import hand_written
from tests.identify.test_torch import PROGRAMS, Program, record
from tests.support import program
from tests.support.program import uses_mlflow

pytestmark = uses_mlflow


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training by PyTorch: momentum, and a learning rate that falls."""
    folder = tmp_path_factory.mktemp("torch") / "recorded"
    record(folder, PROGRAMS["momentum and a schedule"], "float64")
    return folder


def words(folder: Path, here: Path, *more: str) -> list[str]:
    places = ["--out", str(here / "out"), override("results", str(here / "results"))]
    return [str(folder), *places, "tracking=journal", *more]


def refused(typed: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(typed) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def changed(path: Path, function: str, here: Path) -> str:
    """A copy of an array with one change; of an order, two samples of a late batch."""
    array = np.load(path)
    if function == "order":
        array[3, 0, 0], array[3, 1, 0] = array[3, 1, 0], array[3, 0, 0]
    else:
        array[9] *= 1 + 1e-7
    np.save(here / path.name, array)
    return str(here / path.name)


@pytest.mark.parametrize("wrong", ["rule", "order", "rate", "weights", "backend"])
def test_another_training_is_outside(
    wrong: str, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(recorded, tmp_path, "backend=numpy")) == 0
    assert "outside" not in capsys.readouterr().out
    files = tmp_path / "out/recordings/recorded"
    more = {
        "rule": ["semantics.momentum_lr=inside"],
        "order": [f"trainer.order={changed(files / 'order.npy', 'order', tmp_path)}"],
        "rate": [f"trainer.learning_rates={changed(files / 'learning_rates.npy', '', tmp_path)}"],
        "weights": ["model.weights=null"],
        "backend": ["backend=wrong"],
    }[wrong]
    shutil.copytree(tmp_path / "out", tmp_path / "other/out")
    (tmp_path / "other/out/backend").mkdir()
    (tmp_path / "other/out/backend/wrong.yaml").write_text(
        "defaults: [numpy, _self_]\n"
        "factory: {_target_: tests.support.wrong_backends.LateRate, _partial_: true}\n"
    )
    assert main(words(recorded, tmp_path / "other", "backend=numpy", *more)) == 1
    assert "outside from step" in capsys.readouterr().out


def test_the_settings_are_one_folder_that_may_be_moved(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(recorded, tmp_path, "backend=torch")) == 0
    said = capsys.readouterr().out
    assert f"harness --config-dir {tmp_path / 'out'} experiment=recorded backend=torch" in said
    moved = Path(shutil.move(tmp_path / "out", tmp_path / "given away"))
    (tmp_path / "here").mkdir()
    typed = ("--config-dir", str(moved), "experiment=recorded", "backend=torch")
    done = program.run(tmp_path / "here", *typed, "tracking=journal")
    assert (done.code, done.err) == (0, "")
    runs = [*tmp_path.glob("results/runs/*"), *tmp_path.glob("here/results/runs/*")]
    curves = [program.journalled(run, "train/loss") for run in runs]
    assert len(curves) == 2
    assert curves[0] == curves[1]
    [again] = program.events(runs[1], "start")
    assert f"--config-dir '{moved}'" in again["tags"]["command"]
    (moved / "recordings/recorded/order.npy").unlink()
    done = program.run(tmp_path / "here", *typed)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "there is no file recordings/recorded/order.npy in" in done.err


def test_a_second_time_the_same_settings_are_used_and_others_are_refused(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = words(recorded, tmp_path, "backend=numpy")
    assert main(typed) == 0
    files = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert len(files) == 6
    assert main(typed) == 0
    assert {path: path.read_bytes() for path in files} == files
    for path in files:
        path.write_bytes(files[path] + b"a: 1\n")
        assert f"{path}: is there already, with other" in refused(typed, capsys)
        path.write_bytes(files[path])
    assert len([*tmp_path.glob("results/runs/*")]) == 2


def test_losses_that_are_no_longer_finite_are_outside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path / "recorded", PROGRAMS["adam"], "float64")
    typed = words(tmp_path / "recorded", tmp_path, "backend=numpy,torch", "optimizer.lr=1e200")
    assert main(typed) == 1
    assert capsys.readouterr().out.count("outside: its loss is no longer finite") == 2


@pytest.mark.parametrize("name", ["samples.npz", "weights.safetensors", "order.npy"])
def test_damaged_files_are_one_line(name: str, recorded: Path, tmp_path: Path) -> None:
    assert main(words(recorded, tmp_path, "backend=numpy")) == 0
    path = tmp_path / "out/recordings/recorded" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ConfigError) as error:
        prepare(compose(["experiment=recorded"], tmp_path / "out"))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_epochs_that_nothing_says_end_before_a_sample_that_comes_again(tmp_path: Path) -> None:
    hand_written.simple(tmp_path / "recorded")
    assert main(words(tmp_path / "recorded", tmp_path, "backend=numpy,torch")) == 0
    batches = np.load(tmp_path / "recorded/batches.npy")
    order = np.load(tmp_path / "out/recordings/recorded/order.npy")
    assert order[order[:, :, 0] >= 0].tolist() == batches.tolist()
    for epoch in order:
        samples = epoch[epoch >= 0]
        assert len(set(samples)) == len(samples)
    assert 6 <= len(order) <= 12


class Stopped(Exception):
    """An error of the program in the middle of an epoch."""


def test_a_program_that_broke_off_is_repeated_so_far(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = iter(range(7))

    def stop(_: object) -> None:
        if next(steps, None) is None:
            raise Stopped

    adam = PROGRAMS["adam"]
    broken = Program(adam.cell, adam.optimizer, "", {}, "", clip=stop)
    with pytest.raises(Stopped):
        record(tmp_path / "recorded", broken, "float64")
    assert main(words(tmp_path / "recorded", tmp_path, "backend=numpy,jax")) == 0
    assert "Judged by 7 steps" in capsys.readouterr().out
    assert np.load(tmp_path / "out/recordings/recorded/order.npy").shape == (3, 3, 7)


def test_where_none_fits_the_nearest_are_followed_only_if_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nadam = Program("RNN", lambda p: torch.optim.NAdam(p, 0.01), "", {}, "")
    record(tmp_path / "recorded", nadam, "float64")
    typed = words(tmp_path / "recorded", tmp_path, "backend=numpy")
    assert main(typed) == 1
    said = capsys.readouterr().out
    assert "None of the rules known here" in said
    assert "With --nearest" in said
    assert not (tmp_path / "out").exists()
    assert main([*typed, "--nearest"]) == 1
    assert "outside from step" in capsys.readouterr().out
    header = (tmp_path / "out/experiment/recorded.yaml").read_text().splitlines()[1]
    assert "Its rules do NOT give the recorded losses" in header
    assert "certain" not in (tmp_path / "out/semantics/recorded.yaml").read_text()


def test_mistakes_are_one_line(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = words(recorded, tmp_path)
    assert "backend=pytorch" in refused([*typed, "backend=numpy,pytorch"], capsys)
    assert "experiment=x: the recording" in refused([*typed, "experiment=x"], capsys)
    assert "trainer.epochs=0: a rep" in refused([*typed, "trainer.epochs=0"], capsys)
    assert "has 6 epochs" in refused([*typed, "backend=numpy", "trainer.epochs=7"], capsys)
    assert "semantics=keras is another" in refused([*typed, "--name", "keras"], capsys)
    assert "--steps=0" in refused([*typed, "--steps", "0"], capsys)
    assert "no recording" in refused(words(tmp_path, tmp_path), capsys)
    assert not (tmp_path / "results/runs").exists() or not any(tmp_path.glob("results/runs/*"))


def test_the_runs_are_in_mlflow_under_the_recordings_name(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = [word for word in words(recorded, tmp_path) if not word.startswith("tracking")]
    assert main([*typed, "backend=numpy,torch"]) == 0
    said = capsys.readouterr().out
    assert "mlflow ui --backend-store-uri" in said
    assert "--experiment recorded" in said
    starts = [program.events(run, "start")[0] for run in tmp_path.glob("results/runs/*")]
    assert {each["experiment"] for each in starts} == {"recorded"}
    assert {each["tags"]["repeats"] for each in starts} == {str(recorded.resolve())}
    assert {each["tags"]["backend"] for each in starts} == {"numpy", "torch"}
    settings = OmegaConf.load(tmp_path / "out/experiment/recorded.yaml")
    assert settings.trainer.epochs == 6
