"""A small recorded run, made once."""

from pathlib import Path

import pytest

from tests.support.resumed_runs import run

SMALL = ("task.samples=60", "task.length=4", "model.units=3", "trainer.batch_size=16")
SMALL += ("precision=float64", "tracking=journal", "trainer.epochs=5")


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of five epochs with a checkpoint of every other one."""
    folder = tmp_path_factory.mktemp("reproduce") / "run"
    run(folder, *SMALL, "trainer.checkpoint_every=2", "trainer.keep_checkpoints=null")
    return folder
