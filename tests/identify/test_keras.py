"""The rules of plain Keras programs are found: one process trains all of them."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
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
    "split": (
        "adam as semantics=keras.",
        {"semantics__biases": "double"},
        "adam as semantics=keras with biases=double.",
    ),
    "stack": (
        "adam as semantics=keras.",
        {"semantics__weight_decay": "coupled"},
        "adam as semantics=keras with weight_decay=coupled.",
    ),
    "every": (
        "sgd as semantics=matched, clipping at 0.3.",
        {"model__returns": "every_step", "semantics__clip_scope": "variable"},
        "sgd as semantics=keras, clipping at 0.3.",
    ),
}
OTHERS = ("split", "stack")  # trained on other backends of Keras, too


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("keras"), "tensorflow")


def train(folder: Path, backend: str, *names: str) -> Path:
    settings = os.environ | {"KERAS_BACKEND": backend}
    words = [sys.executable, str(PROGRAM), str(folder), *names]
    subprocess.run(words, env=settings, check=True)
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


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_other_backends_of_keras(
    backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With JAX no float64 is enabled here, so both of its precisions are float32."""
    train(tmp_path, backend, *OTHERS)
    for name in OTHERS:
        said, wrong, said_of_wrong = PROGRAMS[name]
        for precision in ("float64", "float32"):
            source, changed = tmp_path / f"{name}_{precision}", tmp_path / "changed"
            altered(source, changed / f"{name}_{precision}", **wrong)
            folders = (source, changed / source.name)
            for folder, answer in zip(folders, (said, said_of_wrong), strict=True):
                assert main([str(folder), "--out", str(folder / "out")]) == 0
                assert f"Your program trains by {answer}\n" in capsys.readouterr().out


def test_the_mean_of_an_epoch_is_read_from_its_log(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last batch has 6 samples, so that both means differ."""
    source, changed = trained / "lstm_float64", tmp_path / "batches"
    shutil.copytree(source, changed)
    facts = json.loads((changed / "recording.json").read_text())
    losses = np.load(changed / "losses.npy").reshape(-1, 3).mean(axis=1)
    for entry, loss in zip(facts["epoch_logs"], losses, strict=True):
        entry["loss"] = float(loss)
    (changed / "recording.json").write_text(json.dumps(facts))
    for folder, word in ((source, "samples"), (changed, "batches")):
        assert main([str(folder), "--out", str(tmp_path / "out")]) == 0
        assert re.search(rf"semantics.epoch_loss +{word} +certain", capsys.readouterr().out)
        text = (tmp_path / f"out/semantics/{folder.name}.yaml").read_text()
        assert f"epoch_loss: {word} # certain" in text


@pytest.mark.parametrize(
    ("name", "said"), [("without_bias", "has no biases in lstm"), ("frozen", "trains without ")]
)
def test_what_no_rule_has_is_refused_by_name(
    trained: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(trained / f"{name}_float32")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
