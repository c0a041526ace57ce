"""The words of `python -m harness.export`: which run is exported, and to which folder.

Decides as well on the one line that is said where it cannot be.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.export import __main__ as export
from harness.runs.run import Result
from harness.runs.stored_network import read_network
from tests.support import ROOT
from tests.support.exported_runs import trained
from tests.support.program import uses_mlflow, with_database
from tests.support.recorded_files import record_again

pytestmark = [
    *uses_mlflow,
    # Keras 3.15 on TensorFlow reads its variables in a way that NumPy 2 has deprecated.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
]


def test_no_replica_is_written_over_another(runs: dict[str, Result], tmp_path: Path) -> None:
    place = shutil.copytree(runs["simple"].directory, tmp_path / "run")
    for replica in ("0", "1"):
        assert export.main([str(place), "--to", "numpy", "--replica", replica]) == 0
    names = {path.name: path / "model.npz" for path in (place / "export").iterdir()}
    assert names.keys() == {"numpy", "numpy-replica-1"}
    for r, path in enumerate(names[name] for name in sorted(names)):
        wanted = read_network(place, r).weights["rnn.0.kernel"]
        assert np.array_equal(np.load(path)["rnn.0.W"], wanted)


def test_numpy_needs_no_framework(runs: dict[str, Result], tmp_path: Path) -> None:
    arguments = [str(runs["lstm"].directory), "--to", "numpy", "--out", str(tmp_path / "here")]
    script = (
        "import sys; from harness.export.__main__ import main; code = main(sys.argv[1:]);"
        "sys.exit(code or sorted({'torch', 'tensorflow', 'keras', 'jax'} & set(sys.modules)) or 0)"
    )
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_run_is_found_by_its_name_and_id(tmp_path: Path, capsys: Any) -> None:
    result = trained(with_database(tmp_path), "tracking=mlflow")
    place = ["--to", "numpy", "--results", str(tmp_path / "results")]
    for word in ("a name", result.wait_for_address()["run_id"], str(result.directory)):
        shutil.rmtree(result.directory / "export", ignore_errors=True)
        assert export.main([word, *place]) == 0
        assert (result.directory / "export/numpy/model.npz").exists()
    assert export.main(["a nme", *place]) == 2
    assert "Did you mean 'a name'?" in capsys.readouterr().err
    shutil.rmtree(result.directory)  # MLflow still has what is needed
    assert export.main(["a name", *place]) == 0
    assert (tmp_path / "results/export/a name/numpy/model.npz").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{run}"], "--to: must be given"),
        (["{run}", "x", "--to", "numpy"], "x: no such option or argument"),
        (["{run}", "--to", "numpy", "--replica", "x"], "--replica x: must be a whole number"),
        (["{run}", "--to", "toch"], "Did you mean 'torch'?"),
        (["{run}", "--to", "numpy", "--replica", "2"], "must be from 0 to 1"),
        (["{run}", "--to", "numpy", "--replica", "-1"], "must be from 0 to 1"),
        (["{run}", "--to", "numpy", "--out", ""], "--out: must name a folder."),
        (["", "--to", "numpy"], "RUN: a run's directory, id or name must be given."),
        (["{run}", "--to", "numpy", "--out", "{run}"], "must be a new folder"),
        (["{run}", "--to", "numpy", "--out", "{run}/config.yaml"], "must be a new folder"),
        (["{run}", "--to", "numpy", "--out", "{run}/config.yaml/x"], "cannot be written"),
        (["{run}", "--to", "jax"], "run: pip install no-such-package"),
        (["{run}/weights", "--to", "numpy"], "this directory holds no run"),
        (
            ["nobody", "--to", "numpy", "--results", "{run}/none"],
            "nobody: there is no such directory",
        ),
    ],
)
def test_what_cannot_be_exported_is_explained(
    runs: dict[str, Result],
    arguments: list[str],
    said: str,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(export.FORMATS, "jax", {"no_such_module": "no-such-package"})
    directory = str(runs["simple"].directory)
    assert export.main([each.replace("{run}", directory) for each in arguments]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1


def test_a_run_in_float64_says_why_its_onnx_model_is_not(runs: dict[str, Result]) -> None:
    network = read_network(runs["lstm"].directory, 0)
    assert network.precision == "float64"
    assert "Rounded" not in network.interface
    lines = export.in_float32(network).interface.splitlines()
    assert "Rounded from the run's float64: ONNX" in " ".join(lines)


def test_a_failed_run_says_how_it_ended(tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(RuntimeError, match="not finite"):
        trained(tmp_path, "model=rnn_relu", "optimizer=sgd", "optimizer.lr=1e30")
    assert export.main([str(tmp_path / "run"), "--to", "numpy"]) == 2
    said = capsys.readouterr().err
    assert "final.safetensors: it ended as FAILED (" in said
    assert "train it again.\n" in said


@pytest.mark.parametrize(
    ("status", "kept", "said"),
    [
        ("FINISHED", True, "the file is gone since; copy it from the run's artifacts in MLflow"),
        ("KILLED", True, "it ended as KILLED; go on with: python -m harness resume="),
        ("KILLED", False, "it ended as KILLED and kept no checkpoint; train it again."),
        (None, True, "it was killed, or still trains; go on with: python -m harness resume="),
    ],
)
def test_without_final_weights_it_says_what_to_do(
    runs: dict[str, Result],
    status: str | None,
    kept: bool,
    said: str,
    tmp_path: Path,
    capsys: Any,
) -> None:
    place = shutil.copytree(runs["simple"].directory, tmp_path / "run")
    (place / "weights/final.safetensors").unlink()
    if not kept:
        shutil.rmtree(place / "checkpoints")
    ends = "" if status is None else json.dumps({"kind": "end", "time": 0, "status": status})
    (place / "journal.jsonl").write_text(ends)
    assert export.main([str(place), "--to", "numpy"]) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("name", ["network.json", "weights/final.safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.5], ids=["empty", "half"])
@pytest.mark.parametrize("has_checksum", [False, True])
def test_a_damaged_file_is_named(
    runs: dict[str, Result],
    name: str,
    kept: float,
    has_checksum: bool,
    tmp_path: Path,
    capsys: Any,
) -> None:
    place = shutil.copytree(runs["simple"].directory, tmp_path / "run")
    whole = (place / name).read_bytes()
    (place / name).write_bytes(whole[: int(kept * len(whole))])
    if not has_checksum:
        record_again(place, name)
    assert export.main([str(place), "--to", "numpy"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"{place / name}: is damaged (")
    assert said.count("\n") == 1
    assert said.endswith("; copy it from the run's artifacts in MLflow, or train the run again.\n")


@pytest.mark.parametrize("text", ["[]", "{}", '{"scale": [], "model": {}}', '{"scale": {"x": []}}'])
def test_facts_that_are_none_are_damage(
    runs: dict[str, Result], text: str, tmp_path: Path, capsys: Any
) -> None:
    place = shutil.copytree(runs["lstm"].directory, tmp_path / "run")
    (place / "network.json").write_text(text)
    record_again(place, "network.json")
    assert export.main([str(place), "--to", "numpy"]) == 2
    said = capsys.readouterr().err
    assert f"{place / 'network.json'}: is damaged (" in said
    assert said.count("\n") == 1
