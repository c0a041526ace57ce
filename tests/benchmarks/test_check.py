"""`python -m benchmarks check` in its short form: what passes, fails and is refused."""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.check import expected
from benchmarks.check.ratios import names_of, ratios_of
from benchmarks.check.run import trained
from benchmarks.common.cases import CELLS, FRAMEWORKS, SIZES, Case
from tests.benchmarks.test_benchmarks import bench

TINY = Case("tiny", "rnn", units=3, length=2, batch=5, steps=2)
NAMES = [f"numpy, tiny, rnn: {kind}" for kind in ("by hand", "products alone", "32 replicas")]


def check(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return bench(folder, "check", "--short", "--frameworks", "numpy", *words)


def file_of(folder: Path, ratio: float) -> Path:
    path = folder / "expected.json"
    path.write_text(json.dumps({"ratios": dict.fromkeys(NAMES, ratio)}), encoding="utf-8")
    return path


def test_ratios_far_above_the_expected_ones_pass(tmp_path: Path) -> None:
    done = check(tmp_path, "--expected", str(file_of(tmp_path, 1e-6)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 ratios: 3 as expected, 0 too low" in done.stdout
    assert "expected on another machine" in done.stdout
    assert "next     python -m benchmarks" in done.stdout


def test_ratios_far_below_the_expected_ones_fail(tmp_path: Path) -> None:
    done = check(tmp_path, "--expected", str(file_of(tmp_path, 1e6)))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "3 ratios: 0 as expected, 3 too low" in done.stdout
    for name in NAMES:
        assert f"too low: {name}: expected 1000000.00, found" in done.stdout
    assert "python -m benchmarks --frameworks numpy --sizes tiny --cells rnn" in done.stdout


def test_what_is_written_is_read_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "expected.json"
    done = check(tmp_path, "--write", "--expected", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    written = path.read_text(encoding="utf-8")
    contents = expected.read(path, NAMES)
    assert list(contents["ratios"]) == NAMES
    assert contents["cores"] >= 1
    assert "version.numpy" in contents["versions"]
    again = check(tmp_path, "--write", "--expected", str(path))
    assert again.returncode == 2
    assert "is there and is not replaced" in again.stderr
    assert path.read_text(encoding="utf-8") == written


def damaged(ratio: Any) -> str:
    return json.dumps({"ratios": dict.fromkeys(NAMES, ratio)})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "there is no such file"),
        ("{", "cannot be read"),
        ("\x00\xff", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "has no ratios"),
        ('{"ratios": 3}', "has no ratios"),
        ('{"ratios": {}}', "numpy, tiny, rnn: by hand is null"),
        (damaged("2"), 'by hand is "2"'),
        (damaged(True), "by hand is true"),
        (damaged(0), "by hand is 0"),
        (damaged(float("nan")), "by hand is NaN"),
        (damaged(10**400), "by hand is 1000"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(
    text: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "expected.json"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    words = ["check", "--short", "--frameworks", "numpy", "--expected", str(path)]
    assert main(words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}: ")
    assert told in line
    assert "python -m benchmarks check --write" in line


def row(name: str, us: float, *, ours: bool = False, replicas: int = 1) -> dict[str, Any]:
    about = {"framework": "numpy", "label": name, "ours": ours}
    return TINY.facts() | about | {"replicas": replicas, "us": {"median": us}}


def test_ratios_are_those_of_the_times() -> None:
    rows = [row("harness", 4.0, ours=True), row("harness", 0.5, ours=True, replicas=32)]
    rows += [row("loop", 30.0), row("compiled loop", 20.0), row("products alone", 1.0)]
    assert ratios_of(rows) == dict(zip(NAMES, (5.0, 0.25, 8.0), strict=True))
    assert ratios_of(rows[2:]) == {}


def test_the_shipped_file_has_every_ratio() -> None:
    sizes = argparse.Namespace(sizes=list(SIZES), cells=list(CELLS), short=False)
    names = names_of(FRAMEWORKS, trained(sizes))
    assert len(names) == 4 * 3 * 2 * 2 + 6
    expected.read(expected.FILE, names)
