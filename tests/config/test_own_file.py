"""`${own_file:NAME}` in a file of options is a file beside it, wherever their folder is."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.config.compose import compose, composing
from harness.core.errors import ConfigError
from tests.support import program

OPTION = """\
defaults: [file, _self_]
name: mine
path: ${own_file:data/mine.npz}
val_fraction: 0
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own folder"
    for name in ("task", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "task/mine.yaml").write_text(OPTION)
    x = np.random.default_rng(0).normal(size=(20, 4, 2))
    np.savez(folder / "data/mine.npz", x=x, y=x.sum(1))
    return folder


def path_of(folder: Path) -> str:
    return getattr(compose(["task=mine"], folder).task, "path")  # noqa: B009  # of a subclass


def test_the_file_is_found_where_the_folder_is(own: Path) -> None:
    assert path_of(own) == str(own / "data/mine.npz")
    moved = Path(shutil.copytree(own, own.parent / "moved"))
    assert path_of(moved) == str(moved / "data/mine.npz")


def test_a_file_that_is_not_there_is_one_line(own: Path) -> None:
    (own / "data/mine.npz").unlink()
    with pytest.raises(ConfigError) as error:
        path_of(own)
    assert str(error.value) == f"task.path: there is no file data/mine.npz in {own}."
    with composing() as compose_one, pytest.raises(ConfigError, match="name that by --config-dir"):
        compose_one(["task=file", "task.path=${own_file:data/mine.npz}"])


@pytest.mark.parametrize("sweep", [(), ("-m", "seed=0,1"), ("-m", "seed=0,1", "WORKERS")])
def test_runs_sweeps_and_workers_find_it(sweep: tuple[str, ...], own: Path) -> None:
    words = [word.replace("WORKERS", "hydra.launcher.workers=2") for word in sweep]
    typed = ("--config-dir", own.name, "task=mine", "trainer.epochs=1", "tracking=journal")
    done = program.run(own.parent, *typed, *words)
    assert done.code == 0, done.err
    runs = program.directories(own.parent)
    assert len(runs) == (2 if sweep else 1)
    for run in runs:
        assert f"path: {own / 'data/mine.npz'}" in (run / "config.yaml").read_text()


def test_a_resumed_run_knows_the_place(own: Path) -> None:
    typed = ("--config-dir", own.name, "task=mine", "trainer.epochs=1", "tracking=journal")
    assert program.run(own.parent, *typed).code == 0
    run = program.directory(own.parent)
    (own.parent / "elsewhere").mkdir()
    done = program.run(own.parent / "elsewhere", f"resume={run}", "trainer.epochs=2")
    assert done.code == 0, done.err
