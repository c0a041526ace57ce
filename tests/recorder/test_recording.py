"""Reading a recording: one by hand as docs/recording.md has it, and every kind of damage."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from harness.core.errors import ConfigError
from harness.recorder.recording import read_recording
from harness.recorder.rows import Rows, digest
from harness.recorder.running_mean import RunningMean
from harness.recorder.writer import Writer
from tests.recorder import by_hand
from tests.support import ROOT

EXAMPLE = re.search(
    r"```python\n(.+?)```", (ROOT / "docs/recording.md").read_text(encoding="utf-8"), re.DOTALL
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The example of docs/recording.md, written by its own code."""
    assert EXAMPLE is not None
    subprocess.run([sys.executable, "-c", EXAMPLE[1]], cwd=tmp_path, check=True)
    return tmp_path / "recorded"


def change(folder: Path, **fields: object) -> None:
    path = folder / "recording.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_the_example_of_the_documentation_is_read(folder: Path) -> None:
    recording = read_recording(folder)
    assert recording.steps == 2
    assert recording.losses is not None
    assert recording.batches is not None
    assert recording.batches.tolist() == [[2, 0], [1, -1]]
    w, losses = float(recording.initial["w"][0]), []
    for batch in recording.batches:  # y = w·x, mean squared error, SGD with 0.1
        x, y = (recording.data[name][batch[batch >= 0]].ravel() for name in ("x", "y"))
        losses.append(((w * x - y) ** 2).mean())
        w -= 0.1 * 2 * ((w * x - y) * x).mean()
    by_hand.agree(recording, np.array(losses))


def save(name: str, values: object) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / name, np.array(values))


def truncate(name: str, left: int) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:left])


def pickled(folder: Path) -> None:
    np.save(folder / "losses.npy", np.array([print, None], object), allow_pickle=True)


def claims_too_much(folder: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (9000000000,), }"
    header = header.ljust(117) + b"\n"
    (folder / "losses.npy").write_bytes(b"\x93NUMPY\x01\x00\x76\x00" + header)
    change(folder, steps=9000000000, arrays={"losses": [9000000000]})


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no facts": (lambda f: (f / "recording.json").unlink(), "has no recording.json"),
    "broken json": (truncate("recording.json", 60), "recording.json: cannot be used"),
    "not an object": (lambda f: (f / "recording.json").write_text("[1]"), "cannot be used"),
    "deep json": (lambda f: (f / "recording.json").write_text("[" * 10**6), "cannot be used"),
    "NaN in json": (lambda f: (f / "recording.json").write_text('{"a": NaN}'), "NaN is no finite"),
    "other format": (lambda f: change(f, format=2), "format=2: this version reads format 1"),
    "no steps": (lambda f: change(f, steps=0), "steps=0"),
    "steps as text": (lambda f: change(f, steps="2"), "steps='2' must be a whole number"),
    "true as steps": (lambda f: change(f, steps=True), "steps=True must be a whole number"),
    "unknown field": (lambda f: change(f, lossses=[]), "lossses must be left out"),
    "unknown array": (lambda f: change(f, arrays={"z": [2]}), "arrays.z is no array"),
    "notes as text": (lambda f: change(f, notes="none"), "notes must be a list"),
    "negative length": (lambda f: change(f, arrays={"losses": [-2]}), "must be a list of lengths"),
    "other steps": (lambda f: change(f, arrays={"losses": [3]}), r"must be \[S\], where S=2"),
    "samples disagree": (
        lambda f: change(f, arrays={"x": [3, 1, 1], "y": [2, 1]}),
        r"arrays.y=\[2, 1\] must be \[N, …\], where S=2, N=3",
    ),
    "lost array": (lambda f: (f / "x.npy").unlink(), "x.npy: cannot be used .No such file"),
    "short array": (truncate("losses.npy", 136), "has 136 bytes, and its header says 144"),
    "broken header": (truncate("losses.npy", 20), "losses.npy: cannot be used"),
    "another shape": (save("losses.npy", [1.0]), r"has shape \(1,\); recording.json says \(2,\)"),
    "whole losses": (save("losses.npy", [1, 2]), "has int64; it must have floating-point"),
    "NaN loss": (save("losses.npy", [1, np.nan]), "losses.npy.*value that is not finite"),
    "pickle": (pickled, "has object; it must have floating-point"),
    "10 GB claimed": (claims_too_much, "has 128 bytes, and its header says 72000000128"),
    "sample too high": (save("batches.npy", [[2, 0], [3, -1]]), "numbers from 0 to 2"),
    "gap in a batch": (save("batches.npy", [[2, 0], [-1, 1]]), "numbers from 0 to 2"),
    "empty batch": (save("batches.npy", [[2, 0], [-1, -1]]), "numbers from 0 to 2"),
    "no samples": (lambda f: change(f, arrays={"batches": [2, 2]}), "the 0 samples"),
    "lost weights": (lambda f: (f / "initial.safetensors").unlink(), "initial.safetensors: cannot"),
    "broken weights": (truncate("initial.safetensors", 30), "initial.safetensors: cannot be used"),
    "NaN weight": (
        lambda f: save_file({"w": np.array([np.nan])}, f / "initial.safetensors"),
        "initial.safetensors.*w has a value that is not finite",
    ),
    "no weights": (lambda f: save_file({}, f / "initial.safetensors"), "has no arrays"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_refused_in_one_line(folder: Path, damage: str) -> None:
    act, message = DAMAGES[damage]
    act(folder)
    with pytest.raises(ConfigError, match=message) as refused:
        read_recording(folder)
    text = str(refused.value)
    assert "\n" not in text
    assert str(folder) in text


def test_importing_the_recorder_imports_no_framework() -> None:
    heavy = {"torch", "tensorflow", "keras", "jax", "mlflow", "hydra", "omegaconf", "pandas"}
    code = "import sys, harness.recorder, harness.recorder.recording, harness.recorder.writer;"
    code += f"print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_each_distinct_row_is_kept_once() -> None:
    rows = Rows()
    x, y = np.arange(6.0).reshape(3, 2), np.zeros((3, 1))
    assert rows.add({"x": x, "y": y}) == [0, 1, 2]
    assert rows.add({"x": x[[2, 0]], "y": y[[2, 0]]}) == [2, 0]
    assert rows.add({"x": x[:1], "y": y[:1] + 1}) == [3]  # the same input with another target
    assert rows.arrays()["y"].ravel().tolist() == [0, 0, 0, 1]
    assert bytes(rows.digests[1]) == digest({"x": x[1], "y": y[1]})


def test_only_digests_are_kept_beyond_the_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = Writer(tmp_path / "recorded", "other", [])
    writer.initial = {"w": np.ones(1)}
    writer.rows.limit = 40
    x = np.arange(9.0).reshape(3, 3)  # 24 bytes each
    writer.add_step(losses=0.5, batches=writer.rows.add({"x": x}))
    writer.add_step(losses=0.5, batches=writer.rows.add({"x": x[[1]]}))
    writer.write()
    recording = read_recording(tmp_path / "recorded")
    assert recording.data == {}
    assert recording.digests is not None
    assert recording.digests.shape == (3, 16)
    assert recording.batches is not None
    assert recording.batches.tolist() == [[0, 1, 2], [1, -1, -1]]
    assert "digests only: the samples have 72 bytes, limit 40" in capsys.readouterr().err


def test_a_recording_in_work_says_so(tmp_path: Path) -> None:
    Writer(tmp_path / "recorded", "other", [])
    with pytest.raises(ConfigError, match="the training still goes on, or was killed"):
        read_recording(tmp_path / "recorded")


def test_a_batchs_loss_follows_from_running_means_within_its_bound() -> None:
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 33, 500)
    losses = rng.uniform(0.1, 2, 500).astype(np.float32)
    total = count = np.float32(0)
    running = RunningMean(float(np.finfo(np.float32).eps))
    for loss, size in zip(losses, sizes, strict=True):
        total, count = total + loss * np.float32(size), count + np.float32(size)
        found, bound = running.last(float(total / count), int(size))
        assert abs(found - loss) <= bound
        wrong = float(total / count)  # Keras' own figure
    assert abs(wrong - losses[-1]) > bound
