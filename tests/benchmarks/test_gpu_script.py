"""`python -m benchmarks gpu` in its short form on a CPU; its budget, and pieces that break."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.cases import Case
from benchmarks.gpu import frameworks, parity, speed
from benchmarks.gpu.budget import Budget
from benchmarks.gpu.carry_out import carry_out
from benchmarks.gpu.job import Job
from benchmarks.gpu.suite import failed, notes
from tests.benchmarks.test_benchmarks import bench

TINY = Case("tiny", "rnn", units=3, length=2, batch=5, steps=2)
JOB = Job(framework="torch", device="cpu", pieces=[], threads=1, repeats=1, seconds=1e6, each=1e6)


def rows_of(job: Job, worker: str, scratch: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    carry_out(job, worker, scratch, lambda *_: None, rows.append)
    return rows


def test_every_part_leaves_its_results(tmp_path: Path) -> None:
    words = ("--short", "--device", "cpu", "--frameworks", "torch", "--minutes", "1000")
    done = bench(tmp_path, "gpu", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    [folder] = (tmp_path / "results" / "benchmarks").iterdir()
    names = {
        f"{part}.{ending}" for part in ("tests", "parity", "speed") for ending in ("json", "md")
    }
    assert {path.name for path in folder.iterdir()} == {*names, "tests.log"}
    found = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in folder.glob("*.json")}
    assert set(found["tests"]["outcomes"].values()) == {"SKIPPED"}
    assert found["tests"]["skipped"] == ["there is no NVIDIA GPU here"]
    kinds = [(row["precision"], row["semantics.tf32"]) for row in found["parity"]["rows"]]
    assert kinds == list(parity.KINDS)
    assert all(row["first"] is None for row in found["parity"]["rows"])
    by_kernel = {(row["kernel"], row["replicas"]): row for row in found["speed"]["rows"]}
    assert set(by_kernel) == {("by hand", 1)} | {
        (kernel, replicas) for kernel in speed.KERNELS["torch"] for replicas in (1, 8)
    }
    for (kernel, _), row in by_kernel.items():
        assert ("needs a GPU" in row["left_out"]) if kernel == "graphed" else row["us"]
    assert "backend.kernel=graphed: needs a GPU" in done.stdout


def test_what_breaks_takes_nothing_along(tmp_path: Path) -> None:
    """A piece that ends the process, then one that trains, then one that no time is left for."""
    whole = {"kernel": "stacked"} | TINY.facts()
    job = replace(JOB, pieces=[{"kernel": "stacked"}, whole])
    broken, trained = rows_of(job, speed.WORK.worker, tmp_path)
    assert "KeyError" in broken["error"]
    assert trained["us"]["median"] > 0
    [late] = rows_of(replace(JOB, pieces=[whole], seconds=0.0), speed.WORK.worker, tmp_path)
    assert late["left_out"] == "no time was left"


def test_what_hangs_is_ended(tmp_path: Path) -> None:
    pieces = [{"model": cell, "replicas": r} for cell in ("rnn", "gru") for r in (1, 2)]
    job = replace(JOB, pieces=pieces, each=1.0)
    rows = rows_of(job, "tests.benchmarks.hanging_worker", tmp_path)
    assert [(row["model"], row["replicas"]) for row in rows] == [("rnn", 1), ("gru", 1)]
    for row in rows:
        assert row["left_out"].startswith("took more than ")


def test_a_framework_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(frameworks.PACKAGES, "torch", "no_such_package")
    assert frameworks.missing("torch") == "the package no_such_package is not installed"
    on_gpu = replace(JOB, device="cuda", pieces=[{"model": "rnn"}])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    [row] = rows_of(on_gpu, parity.WORK.worker, tmp_path)
    assert "device=cuda: this PyTorch" in row["left_out"]


def compared(precision: str, tf32: str, first: str | None) -> dict[str, Any]:
    about = {"framework": "torch", "model": "rnn", "precision": precision}
    return about | {"semantics.tf32": tf32, "stage": "outputs", "first": first, "limit": 1e-5}


@pytest.mark.parametrize(
    ("row", "verdict", "fails"),
    [
        (compared("float32", "off", None), "agrees", False),
        (compared("float32", "off", "layer 0"), "differs: layer 0", True),
        (compared("float32", "on", "layer 0"), "beyond the band, as TF32 is", False),
        (compared("float32", "on", None), "agrees: TF32 made no difference", False),
        (compared("float64", "on", "layer 0"), "differs: layer 0", True),
        (compared("float32", "off", None) | {"error": "no"}, "failed: no", True),
        ({"framework": "jax", "left_out": "no GPU"}, "left out: no GPU", False),
    ],
)
def test_a_difference_counts_unless_it_is_that_of_tf32(
    row: dict[str, Any], verdict: str, fails: bool
) -> None:
    [sheet] = parity.sheets([row], "cuda")
    assert sheet.rows[0][-1] == verdict
    assert bool(parity.failed([row], "cuda")) == fails


def test_tests_that_fail_or_never_end_are_told() -> None:
    outcomes = {"a::one": "PASSED", "a::two": "FAILED"}
    assert failed({"code": 1, "outcomes": outcomes}) == ["a::two"]
    assert failed({"code": 3, "outcomes": {}}) == ["pytest ended with code 3, see tests.log"]
    assert "time was over" in notes({"code": None, "outcomes": {}, "skipped": []})[0]


def test_what_one_part_saves_helps_the_next() -> None:
    budget = Budget(1e6, {"a": 1.0, "b": 1.0, "c": 2.0})
    assert 2.4e5 < budget.share("a") <= 2.5e5
    assert 3.2e5 < budget.share("b") <= 1e6 / 3
    assert 9.9e5 < budget.share("c") <= 1e6


def test_few_replicas_come_first_and_compiling_before_the_doubling() -> None:
    chosen = argparse.Namespace(sizes=["tiny", "large"], cells=["rnn"], short=False)
    pieces = [(p["kernel"], p["size"], p["replicas"]) for p in speed.pieces("jax", chosen)]
    assert pieces[:4] == [
        *(("by hand", "tiny", 1), ("scan", "tiny", 1)),
        *(("by hand", "large", 1), ("scan", "large", 1)),
    ]
    assert pieces[4:8] == [("scan", size, r) for r in (64, 1024) for size in ("tiny", "large")]
    assert pieces[8:11] == [("unrolled", "tiny", replicas) for replicas in (1, 64, 1024)]
    assert pieces[11:13] == [("scan", "tiny", 2048), ("scan", "large", 2048)]


def test_trainings_of_one_reason_share_a_line() -> None:
    about = {"framework": "jax", "kernel": "scan", "size": "tiny", "cell": "rnn"}
    late = [about | {"replicas": r, "left_out": "late"} for r in (2048, 4096)]
    broken = about | {"replicas": 1, "error": "no"}
    rows = [
        about | {"replicas": 1, "us": {}},
        *late,
        broken,
        {"framework": "torch", "left_out": "x"},
    ]
    assert speed.notes(rows, "cuda") == [
        "jax, scan, tiny, rnn, 2,048 to 4,096 replicas: left out: late",
        "jax, scan, tiny, rnn, 1 replica: failed: no",
        "torch: left out: x",
    ]
    assert len(speed.failed(rows, "cuda")) == 1
    assert speed.failed([broken | {"replicas": 1024}], "cuda") == []
