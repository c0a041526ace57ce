"""The words of `python -m harness.identify`, its file, and recordings that cannot be used."""

import json
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from harness.core.semantics import Semantics
from harness.identify.__main__ import main
from tests.identify import hand_written


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    hand_written.simple(tmp_path / "recorded", semantics__adam_eps=1e-5)
    return tmp_path / "recorded"


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    return said.err


def test_the_file_has_the_rules_and_what_is_known_of_each(recorded: Path, tmp_path: Path) -> None:
    assert main([str(recorded), "--out", str(tmp_path / "out"), "--name", "mine"]) == 0
    path = tmp_path / "out/semantics/mine.yaml"
    values = OmegaConf.to_container(OmegaConf.load(path))
    semantics = Semantics(**values)  # type: ignore[arg-type]
    assert (semantics.name, semantics.adam_eps, semantics.biases) == ("mine", 1e-5, "single")
    lines = path.read_text().splitlines()
    assert any(line.startswith("adam_eps: 1.0e-05") and "certain" in line for line in lines)
    assert "clip_scope: global # not visible here" in lines


def test_mistakes_are_one_line(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main([str(recorded), *out]) == 0
    capsys.readouterr()
    assert "is there already" in refused([str(recorded), *out], capsys)
    assert "--name 1-2" in refused([str(recorded), *out, "--name", "1-2"], capsys)
    assert "--steps=0" in refused([str(recorded), *out, "--name", "b", "--steps", "0"], capsys)
    assert "no recording" in refused([str(tmp_path / "nothing"), *out], capsys)


def test_a_recording_without_an_order_is_refused(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads((recorded / "recording.json").read_text())
    del facts["arrays"]["batches"], facts["arrays"]["losses"]
    (recorded / "recording.json").write_text(json.dumps(facts))
    said = refused([str(recorded), "--out", str(tmp_path / "out")], capsys)
    assert "has no losses and no batches" in said


@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_a_damaged_statement_is_one_line(
    framework: str, recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads((recorded / "recording.json").read_text())
    facts |= {"framework": framework, "stated": {"param_groups": [{"betas": ["x", 2]}]}}
    (recorded / "recording.json").write_text(json.dumps(facts))
    said = refused([str(recorded), "--out", str(tmp_path / "out")], capsys)
    assert "is damaged" in said


def test_targets_that_fit_no_output_are_refused(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads((recorded / "recording.json").read_text())
    facts["arrays"]["y"] = [12, 3]
    (recorded / "recording.json").write_text(json.dumps(facts))
    np.save(recorded / "y.npy", np.ones((12, 3)))
    said = refused([str(recorded), "--out", str(tmp_path / "out")], capsys)
    assert "has targets (3,)" in said
