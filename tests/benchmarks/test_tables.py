"""`python -m benchmarks tables` prints the numbers of the files that it is given."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.common.cases import Case
from benchmarks.steps.table import digits
from tests.benchmarks.test_benchmarks import bench

TINY = Case("tiny", "rnn", units=3, length=2, batch=5, steps=2)
DOCUMENT = {"kind": "steps", "command": "measured", "time": "today", "processor": "fast"}
DOCUMENT |= {"cores": 2, "versions": {"version.numpy": "2.0"}}


def row(framework: str, name: str, us: float, replicas: int = 1, **more: Any) -> dict[str, Any]:
    about = {"framework": framework, "label": name, "name": name, "error": ""}
    about |= {"ours": name.startswith("harness"), "us": {"median": us}}
    return TINY.facts() | about | {"replicas": replicas} | more


def file_of(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    path = folder / name
    path.write_text(json.dumps(DOCUMENT | {"rows": rows}), encoding="utf-8")
    return str(path)


ROWS = [
    row("numpy", "harness", 20.0, matrix_gflops=100.0, copy_gbytes=0.5),
    row("numpy", "harness", 4.0, 32),
    row("numpy", "PyTorch loop", 300.0),
    row("numpy", "products alone", 5.0),
    row("torch", "harness", 200.0),
    row("torch", "harness (compiled)", 50.0),
    row("torch", "PyTorch loop", 250.0),
    row("torch", "Lightning", 900.0),
]


def test_entries_are_those_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lstm = row("torch", "harness", 70.0) | {"cell": "lstm"}
    failed = {k: v for k, v in lstm.items() if k != "us"} | {"framework": "jax", "error": "no"}
    paths = [file_of(tmp_path, "one.json", [*ROWS, failed]), file_of(tmp_path, "two.json", [lstm])]
    assert main(["tables", *paths]) == 0
    printed = capsys.readouterr().out
    assert "| `numpy` | 20.0; 300 (PyTorch loop); 15.0 |  |" in printed
    assert "| `numpy` | 4.00; 300 (PyTorch loop); 75.0 |  |" in printed
    assert "| `torch` | 200; 250 (PyTorch loop); 1.25 | 70.0 |" in printed
    assert "| `torch` (compiled) | 50.0; 250 (PyTorch loop); 5.00 |  |" in printed
    network = "3 units, 2 steps, batch 5"
    assert f"| {network} | 20.0; 5.00; 4.00 |  |" in printed
    assert f"| {network} | numpy: 20.0; 250 (PyTorch loop); 12.5 | torch: 70.0 |" in printed
    assert "# today, fast, 2 cores, numpy 2.0" in printed
    least = TINY.bytes / 0.5 / 1e3  # memory is slower than the products here
    assert least > TINY.operations / 100.0 / 1e3
    assert f"| {digits(least)} | memory | 20.0 (numpy) | {digits(20.0 / least)} |" in printed


@pytest.mark.parametrize(
    ("cell", "weights", "kept_and_gradients"),
    [("rnn", 19, 4), ("lstm", 64, 20), ("gru", 49, 16)],
)
def test_bytes_are_those_of_a_count_by_hand(
    cell: str, weights: int, kept_and_gradients: int
) -> None:
    """Per time step of 5 samples: an input and arrays of 3 units, each written and read."""
    numbers = 10 * weights + 5 * 2 * (2 * 1 + kept_and_gradients * 3)
    assert Case("tiny", cell, units=3, length=2, batch=5, steps=1).bytes == 4 * numbers


def test_a_measured_file_is_printed(tmp_path: Path) -> None:
    done = bench(tmp_path, "--short", "--frameworks", "numpy", "--replicas", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = (tmp_path / "results" / "benchmarks").glob("*/benchmark.json")
    ours = json.loads(path.read_text(encoding="utf-8"))["rows"][0]
    printed = bench(tmp_path, "tables", str(path)).stdout
    assert f"| `numpy` | {digits(ours['us']['median'])}; " in printed
    assert f"| {digits(ours['matrix_gflops'])} | {digits(ours['copy_gbytes'])} |" in printed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("3", "is no result of steps"),
        (json.dumps({"kind": "sweep"}), "is no result of steps"),
        (json.dumps(DOCUMENT), "lacks rows or a part of them"),
        (json.dumps(DOCUMENT | {"rows": [3]}), "lacks rows or a part of them"),
        (json.dumps({"kind": "steps", "rows": ROWS}), "lacks rows or a part of them"),
        (json.dumps(DOCUMENT | {"rows": [ROWS[0] | {"us": 3}]}), "lacks rows or a part"),
        (json.dumps(DOCUMENT | {"rows": [ROWS[0] | {"copy_gbytes": "1"}]}), "lacks rows or a part"),
        (json.dumps(DOCUMENT | {"rows": []}), "no contestant has a time"),
    ],
)
def test_another_file_is_refused_in_one_line(
    text: str | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "benchmark.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert main(["tables", str(path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}: ")
    assert told in line
    assert "python -m benchmarks steps" in line


@pytest.mark.parametrize("words", [["tables"], ["steps", "benchmark.json"]])
def test_files_are_for_tables_alone(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "tables FILE" in capsys.readouterr().err
