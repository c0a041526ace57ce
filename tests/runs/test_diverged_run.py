"""A run whose loss overflows fails in one line and keeps all that it had until then."""

import math
from pathlib import Path

import pytest

from harness.core.file_names import JOURNAL, SENT, SENT_LOCK
from tests.support import program
from tests.support.program import Done, uses_mlflow
from tests.support.run_folder import files

pytestmark = uses_mlflow

# With a learning rate of 0.01 such a decay turns every weight into −2 times itself, so that float32
# overflows after some epochs, but not in the first.
GROWING = ("optimizer=sgd", "optimizer.weight_decay=300", "trainer.epochs=50")


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    folder = program.with_database(tmp_path_factory.mktemp("diverged"))
    return folder, program.run(folder, *GROWING)


def test_a_failed_run_says_so_in_one_line(diverged: tuple[Path, Done]) -> None:
    folder, done = diverged
    assert done.code == 1
    assert done.err.count("\n") == 1
    epochs = len(program.journalled(program.directory(folder), "train/loss"))
    assert f"loss not finite in epoch {epochs}" in done.err
    assert "optimizer.lr=0.01" in done.err


def test_a_failed_run_keeps_what_it_had_until_then(diverged: tuple[Path, Done]) -> None:
    folder, _ = diverged
    directory = program.directory(folder)
    journalled = program.journalled(directory, "train/loss")
    assert len(journalled) > 1
    whole = len(journalled) - 1  # epochs, the last of which can be gone on with
    assert files(directory) == {
        *("config.yaml", JOURNAL, "network.json", "traceback.txt", "weights/initial.safetensors"),
        *(SENT, SENT_LOCK),
        f"checkpoints/epoch-{whole:05d}.safetensors",
    }
    [run] = program.tracked(folder)
    assert run.info.status == "FAILED"
    logged = program.history(folder, run.info.run_id, "train/loss")
    assert logged[:-1] == [(step, values[0]) for step, values in journalled[:-1]]
    assert logged[-1][0] == len(journalled)
    assert not math.isfinite(logged[-1][1])
    assert run.data.metrics["params/total"] == 1121
    assert {"traceback.txt", JOURNAL} <= program.artifacts(folder, run.info.run_id)
    assert "Diverged" in (directory / "traceback.txt").read_text()
