"""`python -m benchmarks` as it is typed, in its short form; what it counts and how it times.

That it works is tested, never how fast anything is.
"""

import json
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import pytest

from benchmarks.__main__ import main
from benchmarks.common.cases import SIZES, Case, cases, left_out
from benchmarks.common.imports import parsed
from benchmarks.common.processes import environment, messages
from benchmarks.common.timing import Epoch, Timing, interleave, spread
from benchmarks.common.tracking_server import postgresql_missing
from benchmarks.common.worker import Job
from benchmarks.overhead.epoch_cost import Watched
from benchmarks.scaling.run import exponent
from benchmarks.steps.measure import measure
from benchmarks.steps.picture import draw
from benchmarks.store.searching import SEARCHES
from benchmarks.store.stores import STORES
from benchmarks.sweep.run import BY_HAND
from tests.support.program import PATIENCE

PEERS = {
    "numpy": {"PyTorch loop", "products alone"},
    "torch": {"PyTorch loop", "torch.compile", "Lightning"},
    "keras": {"fit", "fit, jit_compile=True", "fit, steps_per_execution=4"},
    "jax": {"JAX loop", "flax linen", "flax nnx"},
}
TINY = Case("tiny", "rnn", units=3, length=2, batch=5, steps=2)


def bench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """On one thread: other tests run beside it."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *words, "--threads", "1"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def results(folder: Path) -> tuple[dict[str, Any], str]:
    """The JSON and the Markdown of the only run; its picture is one."""
    [found] = (folder / "results" / "benchmarks").iterdir()
    assert re.fullmatch(r"\d{8}-\d{6}", found.name)
    assert (found / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    markdown = (found / "benchmark.md").read_text(encoding="utf-8")
    return json.loads((found / "benchmark.json").read_text(encoding="utf-8")), markdown


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], str]:
    """What a short run prints and leaves."""
    folder = tmp_path_factory.mktemp("short")
    done = bench(folder, "--short")
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout, *results(folder))


def test_every_contestant_has_a_time(short: tuple[str, dict[str, Any], str]) -> None:
    _, found, markdown = short
    for framework, peers in PEERS.items():
        rows = [row for row in found["rows"] if row["framework"] == framework]
        assert {row["label"] for row in rows if not row["ours"]} == peers
        assert [row["replicas"] for row in rows if row["ours"]] == [1, 8]
    for row in found["rows"]:
        assert row["error"] == ""
        assert 0 < row["us"]["low"] <= row["us"]["median"] <= row["us"]["high"]
        assert row["first_epoch_s"] > 0
        assert row["fraction"] == pytest.approx(row["gflops"] / row["matrix_gflops"])
        assert f"| {row['framework']} | {row['label']} | {row['replicas']} |" in markdown


def test_numbers_follow_from_the_times(short: tuple[str, dict[str, Any], str]) -> None:
    rows = short[1]["rows"]
    for row in rows:
        assert len(row["epoch_s"]) == 2
        epoch = row["us"]["median"] * row["steps"] * row["replicas"] / 1e6
        assert epoch == pytest.approx(sum(row["epoch_s"]) / 2)
        assert row["gflops"] == pytest.approx(row["operations"] / row["us"]["median"] / 1e3)
    for ours in (row for row in rows if row["ours"]):
        same = [row for row in rows if row["framework"] == ours["framework"] and row is not ours]
        medians = {row["name"]: row["us"]["median"] for row in same if row["replicas"] == 1}
        expected = {name: value / ours["us"]["median"] for name, value in medians.items()}
        assert ours["ratios"] == pytest.approx(expected)


def test_machine_and_what_is_left_out_are_told(short: tuple[str, dict[str, Any], str]) -> None:
    printed, found, markdown = short
    assert found["cores"] >= 1
    assert found["processor"]
    for package in ("numpy", "torch", "tensorflow", "keras", "jax", "flax", "optax", "lightning"):
        assert f"| version.{package} | " in markdown
    assert found["left_out"] == []
    assert "next     python -m benchmarks" in printed


def test_a_contestant_that_fails_is_told_and_stops_no_other(tmp_path: Path) -> None:
    words = ("--short", "--frameworks", "numpy", "--kernels", "rule,no_such_kernel")
    done = bench(tmp_path, *words, "--replicas", "1", "--memory")
    assert done.returncode == 1, done.stderr
    found, markdown = results(tmp_path)
    by_name = {row["name"]: row for row in found["rows"]}
    peers = {"PyTorch loop", "products alone"}
    assert set(by_name) == {"harness", "harness (no_such_kernel)"} | peers
    broken = by_name.pop("harness (no_such_kernel)")
    assert "backend.kernel" in broken["error"]
    assert "\n" not in broken["error"]
    assert "| numpy | harness (no_such_kernel) | 1 | failed |" in markdown
    assert "failed: numpy, tiny, rnn, harness (no_such_kernel): ConfigError" in done.stdout
    for row in by_name.values():
        little = row["name"] == "products alone"  # which fits into what the imports left
        assert row["us"]["median"] > 0
        assert row["memory_bytes"] > 0 or little


def test_a_whole_training_is_timed(tmp_path: Path) -> None:
    done = bench(tmp_path, "notebook", "--frameworks", "numpy,keras", "--repeats", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    found, markdown = results(tmp_path)
    seconds = {(row["framework"], row["name"]): row["seconds"][0] for row in found["rows"]}
    assert set(seconds) == {
        (framework, name)
        for framework, peer in (("numpy", "PyTorch loop"), ("keras", "fit"))
        for name in ("harness", peer)
    }
    assert all(row["first_epoch_s"][0] > 0 for row in found["rows"])
    ratio = seconds["keras", "fit"] / seconds["keras", "harness"]
    assert f"| {ratio:.1f} |" in markdown


def test_growth_is_measured(tmp_path: Path) -> None:
    done = bench(tmp_path, "scaling", "--short", "--frameworks", "numpy", "--memory")
    assert done.returncode == 0, done.stdout + done.stderr
    found, _ = results(tmp_path)
    curves = {(curve["varied"], curve["kind"]): curve for curve in found["curves"]}
    assert set(curves) == {
        ("length", "us"),
        ("length", "memory_bytes"),
        ("batch", "us"),
        ("replicas", "us"),
    }
    assert curves["length", "us"]["at"] == [10, 20]
    assert all(value > 0 for value in curves["replicas", "us"]["values"])


def test_startup_is_measured(tmp_path: Path) -> None:
    done = bench(tmp_path, "startup", "--short", "--repeats", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    found, _ = results(tmp_path)
    by_name = {row["name"]: row for row in found["rows"]}
    commands = {"--help", "diff --help", "completion", "refuse task=summ", "a tiny run, numpy"}
    assert {"import hydra, mlflow", *commands} == set(by_name)
    for row in by_name.values():
        assert row["s"]["median"] > 0
        assert row["first_s"] > 0
        assert row["imports"]
        assert row["ratio"] == pytest.approx(
            row["s"]["median"] / by_name["import hydra, mlflow"]["s"]["median"]
        )


def test_overhead_is_measured(tmp_path: Path) -> None:
    done = bench(tmp_path, "overhead", "--short", "--frameworks", "numpy")
    assert done.returncode == 0, done.stdout + done.stderr
    found, _ = results(tmp_path)
    [row] = found["rows"]
    assert all(b > a > 0 for a, b in zip(row["alone"], row["whole"], strict=True))
    [cost] = found["epochs"]
    assert (cost["name"], cost["error"]) == ("numpy", "")
    assert cost["us_per_epoch"] > 0


def test_what_a_backend_takes_is_no_cost_of_an_epoch() -> None:
    class Slow:
        def train_epoch(self, batches: object, lr: object) -> None:
            spend(0.02)

        def predict(self, x: object, mask: object) -> None:
            spend(0.02)

    backend: Any = Watched(cast(Any, Slow()))
    for _ in range(3):
        backend.train_epoch(None, None)
        spend(0.005)
        backend.predict(None)
    assert backend.between == pytest.approx([0.005] * 2, abs=0.005)


def spend(seconds: float) -> None:
    """Keep this thread busy for that much of its own time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_sweeps_are_measured(tmp_path: Path) -> None:
    done = bench(tmp_path, "sweep", "--short", "--frameworks", "numpy")
    assert done.returncode == 0, done.stdout + done.stderr
    found, _ = results(tmp_path)
    names = [row["name"] for row in found["rows"]]
    assert names == ["numpy", "numpy, journal only", "numpy, basic launcher", BY_HAND]
    for row in found["rows"]:
        assert row["runs"] == 2
        (many, few), rate = (row[key]["median"] for key in ("s", "start_up_s")), row["per_second"]
        assert rate["median"] == pytest.approx(1 / (many - few))


def test_workers_are_measured(tmp_path: Path) -> None:
    done = bench(tmp_path, "workers", "--short", "--frameworks", "numpy")
    assert done.returncode == 0, done.stdout + done.stderr
    found, _ = results(tmp_path)
    one, two = found["rows"]
    assert (one["way"], two["way"]) == ("1", "2")
    assert two["gain"]["median"] == pytest.approx(one["s"]["median"] / two["s"]["median"])


def test_stores_are_measured(tmp_path: Path) -> None:
    """Without PostgreSQL the others are measured, and the notes name what is left out."""
    done = bench(tmp_path, "store", "--short", "--senders", "2", "--repeats", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    found, markdown = results(tmp_path)
    expected = STORES if postgresql_missing() is None else STORES[:2]
    assert [row["store"] for row in found["sent"]] == [*expected]
    for row in found["sent"]:
        assert row["error"] == ""
        assert (row["tiny_points"], row["long_points"]) == (47, 107)
        assert f"| {row['tiny_runs'] / row['tiny_s']:.1f} |" in markdown
    assert [row["store"] for row in found["searched"]] == [s for s in expected if s != STORES[1]]
    for row in found["searched"]:
        assert row["error"] == ""
        assert row["search_s"].keys() == SEARCHES.keys()
        assert row["bytes"]["files of runs"] > row["runs"] * found["run_bytes"]["journal"]


@pytest.mark.parametrize(
    ("cell", "by_hand"),
    [
        # Per time step of 5 samples: (1 + 3) inputs to 3 units, once for each gate.
        ("rnn", 3 * (2 * (2 * 5 * 4 * 3) + 2 * 5 * 3)),
        ("lstm", 3 * (2 * (2 * 5 * 4 * 12) + 2 * 5 * 3)),
        ("gru", 3 * (2 * (2 * 5 * 4 * 9) + 2 * 5 * 3)),
    ],
)
def test_operations_are_those_of_a_count_by_hand(cell: str, by_hand: int) -> None:
    assert Case("tiny", cell, units=3, length=2, batch=5, steps=1).operations == by_hand


def test_what_would_take_too_long_is_left_out_and_told() -> None:
    trained = cases(["tiny", "large"], ["gru"], [1, 8, 128], short=False)
    found = [(case.size, case.replicas) for case in trained]
    assert found == [("tiny", 1), ("tiny", 8), ("tiny", 128), ("large", 1), ("large", 8)]
    [line] = left_out(SIZES, [1, 8, 32])
    assert line.startswith("large: no 32 replicas")


def test_spread_is_the_median_with_its_quartiles() -> None:
    found = spread([4.0, 1.0, 3.0, 2.0, 5.0])
    assert (found.low, found.median, found.high) == (2.0, 3.0, 4.0)
    assert spread([7.0]).scaled(2.0) == {"median": 14.0, "low": 14.0, "high": 14.0}


def test_contestants_take_turns() -> None:
    turns: list[str] = []

    def contestant(name: str) -> Timing:
        return Timing(lambda: lambda: turns.append(name))

    interleave({name: contestant(name) for name in "abcd"}, 9, 0.0, lambda _: None)
    repeats = ["".join(turns[i : i + 4]) for i in range(0, len(turns), 4)]
    assert repeats[0] == "abcd"
    assert len(repeats) == 10  # the first epochs, then the repeats
    assert all(sorted(repeat) == [*"abcd"] for repeat in repeats)
    assert len({repeat[0] for repeat in repeats}) > 1


def test_one_that_raises_stops_no_other() -> None:
    def fails_in_the_third_epoch() -> Epoch:
        epochs = [0.5, 0.5]
        return epochs.pop

    def cannot_be_built() -> Epoch:
        raise ValueError("first line\nsecond line")

    builds = [cannot_be_built, fails_in_the_third_epoch, lambda: lambda: 0.25]
    timings = {str(place): Timing(build) for place, build in enumerate(builds)}
    interleave(timings, 2, 0.0, lambda _: None)
    assert timings["0"].error == "ValueError: first line"
    assert math.isnan(timings["0"].first_s)
    assert timings["1"].error == "IndexError: pop from empty list"
    assert timings["2"].error == ""
    assert timings["2"].seconds == [0.25, 0.25]


def test_short_epochs_are_repeated_until_they_fill_the_time() -> None:
    timing = Timing(lambda: lambda: 0.02)
    interleave({"": timing}, 1, 0.1, lambda _: None)
    assert timing.calls == 5
    assert timing.seconds == pytest.approx([0.02])


def test_a_process_that_dies_leaves_its_reason(tmp_path: Path) -> None:
    job = Job("no_such_framework", [TINY], ["rule"], 1, 1, 0.0, peers="none")
    [row] = measure([job], memory=False)
    assert row["error"]
    assert row["framework"] == "no_such_framework"
    by_hand = Job("no_such_framework", [TINY], ["rule"], 1, 1, 0.0, peers="all")
    [message] = messages(by_hand, tmp_path)
    assert message["died"].startswith("the process ended with code 1: KeyError")


def test_exponents_are_those_of_power_laws() -> None:
    at = [1, 2, 4, 8]
    assert exponent(at, [5.0, 5.0, 3 * 4.0**1.5, 3 * 8.0**1.5]) == pytest.approx(1.5)
    assert exponent([1], [2.0]) is None
    assert exponent(at, [1, 1, 0, 1]) is None


def test_imports_are_sorted_by_their_own_time() -> None:
    lines = [
        "import time: self [us] | cumulative | imported package",
        "import time:       120 |        120 |   hydra.core",
        "import time:       450 |       4560 | hydra",
        "a warning",
    ]
    assert parsed("\n".join(lines)) == [
        {"module": "hydra", "self_us": 450, "cumulative_us": 4560},
        {"module": "hydra.core", "self_us": 120, "cumulative_us": 120},
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cells", "rnn,elman"], "'rnn,elman' must be of rnn, lstm, gru"),
        (["--replicas", "1,0"], "'0' must be a whole number, at least 1"),
        (["--frameworks", "jax,jax"], "must be one or more different words"),
        (["speed"], "invalid choice: 'speed'"),
    ],
)
def test_mistakes_are_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_picture_leaves_out_what_failed(tmp_path: Path) -> None:
    case, us = TINY.facts(), {"median": 20.0, "low": 10.0, "high": 30.0}
    about = {"framework": "numpy", "label": "harness", "best_of": "", "ours": True, "quoted": True}
    rows = [case | about | {"us": us}, case | about | {"size": "large", "cell": "gru"}]
    for place, shown in enumerate([rows, rows[1:]]):
        draw(tmp_path / f"{place}.png", shown)
        assert (tmp_path / f"{place}.png").stat().st_size > 0
