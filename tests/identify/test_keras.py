"""The rules of plain Keras programs are found: one process trains all of them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.identify.__main__ import main
from tests.identify.hand_written import altered

PROGRAM = Path(__file__).parent / "programs/keras_program.py"
pytestmark = pytest.mark.slow

# Program -> how the answer goes on, a change of its recording, and the answer to that.
PROGRAMS: dict[str, tuple[str, dict[str, Any], str]] = {
    "lstm": (
        "adam as semantics=keras.",
        {"optimizer__weight_decay": 0.01, "semantics__weight_decay": "coupled"},
        "adam as semantics=keras with weight_decay=coupled.",
    ),
    "gru": (
        "sgd as semantics=keras, clipping at 0.3.",
        {"semantics__clip_scope": "global"},
        "sgd as semantics=keras with clip_scope=global, clipping at 0.3.",
    ),
    "labels": (
        "rmsprop as semantics=keras.",
        {"semantics__rmsprop_rho": 0.99},
        "rmsprop as semantics=keras with rmsprop_rho=0.99.",
    ),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    settings = os.environ | {"KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, str(PROGRAM), str(folder)], env=settings, check=True)
    return folder


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_plain_program_and_an_altered_recording_are_told_apart(
    trained: Path, name: str, precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, wrong, said_of_wrong = PROGRAMS[name]
    source = trained / f"{name}_{precision}"
    altered(source, tmp_path / "altered", **wrong)
    for folder, answer in ((source, said), (tmp_path / "altered", said_of_wrong)):
        assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
        assert f"Your program trains by {answer}\n" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_training_by_no_known_rule_fits_none(
    trained: Path, precision: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(trained / f"nadam_{precision}"), "--out", str(tmp_path / "out")]) == 1
    assert "None of the rules known here" in capsys.readouterr().out
