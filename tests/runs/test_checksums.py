"""A recorded run's files are refused in one line where they are not what the run wrote.

Flipped bits and zeros, in every kind of file and through everything that reads it; a checkpoint's
header, which is checked before memory is taken, by changes that its checksum agrees with.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from harness.core.errors import ConfigError
from harness.core.file_names import JOURNAL
from harness.notebook import load_run
from harness.runs import checkpoint_file
from harness.runs.checksums import check_file, recorded_files
from harness.runs.stored_network import read_network
from harness.tracking.journal import read
from harness.tracking.journal_writer import append
from harness.why import __main__ as why
from tests.support.recorded_files import flip, record_again, zero_tail
from tests.support.resumed_runs import SMALL, plan, run

CHECKPOINT = "checkpoints/epoch-00006.safetensors"
WEIGHTS = "weights/final.safetensors"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("checked") / "run", *SMALL).directory


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def resume(folder: Path) -> object:
    return plan(folder.parent / "next", f"resume={folder}", "trainer.epochs=12")


def ask_why(folder: Path) -> object:
    return why.read_sides(why.parse_arguments([str(folder), str(folder), "b.optimizer.lr=0.5"]))


READERS: list[tuple[str, Callable[[Path], object]]] = [
    ("config.yaml", resume),
    ("config.yaml", ask_why),
    ("config.yaml", load_run),
    ("network.json", lambda folder: read_network(folder, 0)),
    ("network.json", lambda folder: load_run(folder).predict(np.zeros((1, 6, 1)))),
    (WEIGHTS, lambda folder: read_network(folder, 0)),
    (WEIGHTS, lambda folder: load_run(folder).weights),
    (CHECKPOINT, resume),
    ("predictions.csv", lambda folder: load_run(folder).predictions),
]
IDS = ["resume", "why", "load_run", "export", "predict", "export", "weights", "resume", "table"]
IDS = [f"{name}-{path}" for name, (path, _) in zip(IDS, READERS, strict=True)]
DAMAGES: dict[str, Callable[[Path], object]] = {
    "first bit": lambda path: flip(path, 0.0),
    "middle bit": lambda path: flip(path, 0.5),
    "last bit": lambda path: flip(path, 1.0),
    "last byte 0": lambda path: zero_tail(path, 1 / path.stat().st_size),
    "last tenth 0": lambda path: zero_tail(path, 0.1),
    "all 0": lambda path: zero_tail(path, 1.0),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize(("path", "reader"), READERS, ids=IDS)
def test_damage_is_refused_in_one_line(
    folder: Path, path: str, reader: Callable[[Path], object]
) -> None:
    whole = (folder / path).read_bytes()
    reader(folder)
    for name, damage in DAMAGES.items():
        (folder / path).write_bytes(whole)
        damage(folder / path)
        if (folder / path).read_bytes() == whole:  # the last byte was 0
            continue
        with pytest.raises(ConfigError) as error:
            reader(folder)
        message = str(error.value)
        assert message.startswith(f"{folder / path}: is damaged ("), name
        assert "SHA-256" in message or "were written" in message, name
        assert "\n" not in message
    (folder / path).write_bytes(whole)
    reader(folder)


def test_every_file_of_a_run_has_its_checksum_in_the_journal(trained: Path) -> None:
    written = {p.relative_to(trained).as_posix() for p in trained.rglob("*") if p.is_file()}
    recorded = recorded_files(trained)
    assert set(recorded) == written - {JOURNAL}
    assert all("sha256" in event for event in recorded.values())
    found = [event for event in read(trained) if event["kind"] == "checkpoint"]
    assert [(e["path"], e["epoch"]) for e in found] == [
        ("checkpoints/epoch-00003.safetensors", 3),
        (CHECKPOINT, 6),
    ]
    for event in found:
        assert event["bytes"] == (trained / event["path"]).stat().st_size
        check_file(trained, event["path"])


def test_runs_of_older_versions_have_no_checksums(folder: Path) -> None:
    flip(folder / "predictions.csv", 0.5)
    lines = [json.loads(line) for line in (folder / JOURNAL).read_text().splitlines()]
    for line in lines:
        line.pop("sha256", None)
    (folder / JOURNAL).write_text("\n".join(map(json.dumps, lines)))
    check_file(folder, "predictions.csv")
    (folder / JOURNAL).unlink()
    check_file(folder, "predictions.csv")


def test_a_file_that_is_gone_is_left_to_those_that_need_it(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    check_file(folder, WEIGHTS)
    with pytest.raises(ConfigError, match=r"has no weights/final.safetensors"):
        read_network(folder, 0)


def test_the_last_event_of_a_file_counts(folder: Path) -> None:
    flip(folder / WEIGHTS, 0.9)
    record_again(folder, WEIGHTS)
    check_file(folder, WEIGHTS)
    append(folder, "file", path=WEIGHTS, bytes=1, sha256="0")
    with pytest.raises(ConfigError, match=r"it has .* bytes, 1 were written"):
        check_file(folder, WEIGHTS)


def rewritten(folder: Path, change: Callable[[dict[str, Any], dict[str, str]], Any]) -> Path:
    """Change the arrays and the header of the last checkpoint, and its checksum with it."""
    path = folder / CHECKPOINT
    with safe_open(path, "np") as file:
        header: dict[str, str] = file.metadata()
    arrays: dict[str, Any] = load_file(path)
    change(arrays, header)
    save_file(arrays, path, metadata=header)
    record_again(folder, CHECKPOINT)
    return path


KERNEL = "params/rnn.0.kernel"
WRONG: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "float32": (lambda a, _: a.update({KERNEL: a[KERNEL].astype("f4")}), "kernel is .'F32'"),
    "integers": (lambda a, _: a.update({KERNEL: a[KERNEL].astype("i8")}), "kernel is .'I64'"),
    "more": (lambda a, _: a.update(more=np.zeros(9)), r"more is \('F64', \(9,\)\), not None"),
    "only best": (lambda a, _: a.update({"best/params/x": np.zeros(1)}), "losses are missing"),
    "only losses": (
        lambda a, _: a.update({"stopping/loss": np.zeros(1), "stopping/epoch": np.zeros(1)}),
        "the best weights or their losses are missing",
    ),
    "epoch -1": (lambda _, h: h.update(epoch="-1"), "its epoch is -1"),
    "another epoch": (lambda _, h: h.update(epoch="5"), "its epoch is 5"),
    "no epoch": (lambda _, h: h.pop("epoch"), "no 'epoch'"),
    "step -1": (lambda _, h: h.update(step="-1"), "its step is -1"),
    "no number": (lambda _, h: h.update(step="many"), "invalid literal"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_checkpoint_that_no_run_has_is_refused(folder: Path, name: str) -> None:
    change, reason = WRONG[name]
    path = rewritten(folder, change)
    with pytest.raises(ConfigError, match=reason) as error:
        resume(folder)
    assert str(error.value).startswith(f"{path}: is damaged (")
    assert str(error.value).endswith("; choose checkpoint=epoch-00003.")
    assert "\n" not in str(error.value)


def test_no_memory_is_taken_for_arrays_of_other_sizes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(folder, lambda arrays, _: arrays.update({KERNEL: np.zeros((1, 1000, 1000))}))

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was loaded")

    monkeypatch.setattr(checkpoint_file, "load_checkpoint", refuse)
    with pytest.raises(ConfigError, match=r"model: the checkpoint's arrays are .*1000, 1000"):
        resume(folder)
