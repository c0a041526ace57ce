"""The cost of earlier runs: which of them count for a shape, and what they say."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.core.file_names import JOURNAL
from harness.runs import earlier_costs as earlier
from harness.runs.cost import Size, shape_key
from harness.system.processor import processor
from harness.tracking.journal import end_of
from harness.tracking.journal_writer import Journal
from harness.tracking.provenance import machine
from harness.training.plan import prepare
from tests.support import program
from tests.support.configs import config

HERE = {"host": machine()["host"], "processor": processor()}


def record(results: Path, name: str, status: str = "FINISHED", **changes: Any) -> None:
    """The journal of a run that took 2 ms per update and replica."""
    own = {"shape": "a", **HERE, "seconds": 1.0, "updates": 500, "replicas": 1}
    journal = Journal(results / name)
    journal.write("end", status=status, error=None, cost=own | changes)
    journal.close()


def measured_seconds(results: Path, wanted: dict[str, int]) -> dict[str, list[float]]:
    """By shape, for so many replicas."""
    sizes = [Size(shape=shape, replicas=replicas) for shape, replicas in wanted.items()]
    costs = earlier.earlier_costs(results, sizes)
    found = {size.shape: earlier.measured_seconds(costs, size) for size in sizes}
    return {shape: seconds for shape, seconds in found.items() if seconds}


def measured_memory(results: Path, samples: int = 100) -> dict[int, float]:
    size = Size(shape="a", samples=samples, replicas=1)
    return earlier.measured_memory(earlier.earlier_costs(results, [size]), size)


def key(*words: str) -> str:
    return shape_key(prepare(config("task.samples=40", *words)))


def test_equal_shapes_have_equal_keys() -> None:
    usual = key()
    for same in ("seed=3", "optimizer.lr=0.5", "trainer.epochs=7", "task.samples=80", "replicas=3"):
        assert key(same) == usual, same
    others = [
        *("model=lstm", "model.units=9", "model.layers=2", "task.length=5", "precision=float64"),
        *("threads=2", "trainer.batch_size=8", "backend.kernel=loops", "backend=torch"),
        *("optimizer=sgd", "trainer.clip=1", "task.lengths=3:10"),
    ]
    assert len({usual, *map(key, others)}) == 1 + len(others)


def test_seconds_are_those_of_an_update_and_replica(tmp_path: Path) -> None:
    record(tmp_path, "runs/1")
    record(tmp_path, "multirun/2/0", replicas=4, seconds=8.0)
    assert measured_seconds(tmp_path, {"a": 1}) == {"a": [0.002]}
    assert measured_seconds(tmp_path, {"a": 4, "b": 1}) == {"a": [0.004]}
    record(tmp_path, "runs/3", replicas=64, seconds=8.0, threads=2)
    assert measured_seconds(tmp_path, {"a": 64}) == {"a": [0.0005]}, "on one core"


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "KILLED"},
        {"shape": "b"},
        {"host": "another"},
        {"processor": "another"},
        {"replicas": 100},
        {"replicas": 0},
        {"updates": 0},
        {"updates": "many"},
        {"seconds": None},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"replicas": -1, "seconds": -1.0},
        {"threads": 0},
        {"threads": "many"},
    ],
)
def test_other_runs_do_not_count(changes: dict[str, Any], tmp_path: Path) -> None:
    record(tmp_path, "runs/1", **changes)
    assert measured_seconds(tmp_path, {"a": 1}) == {}


def test_journals_without_a_cost_do_not_count(tmp_path: Path) -> None:
    record(tmp_path, "runs/1")
    journal = tmp_path / "runs/1" / JOURNAL
    event = json.loads(journal.read_text())
    for damaged in ({**event, "cost": {}}, {k: v for k, v in event.items() if k != "cost"}, "{", 3):
        journal.write_text(f"{damaged if isinstance(damaged, str) else json.dumps(damaged)}\n")
        assert measured_seconds(tmp_path, {"a": 1}) == {}
    assert measured_seconds(tmp_path / "nowhere", {"a": 1}) == {}


def test_runs_with_the_most_similar_number_of_replicas_count(tmp_path: Path) -> None:
    for number, replicas in enumerate((2, 4, 64)):
        record(
            tmp_path, f"runs/{number}", replicas=replicas, seconds=float(replicas * (1 + number))
        )
    of_two, of_four, of_many = 0.002, 0.004, 0.006
    wanted = {1: of_two, 2: of_two, 4: of_four, 6: of_many, 8: of_many, 250: of_many}
    for replicas, seconds in wanted.items():
        assert measured_seconds(tmp_path, {"a": replicas}) == {"a": [seconds]}, replicas


def test_the_latest_runs_count_and_no_more_are_read_than_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        record(tmp_path, f"runs/20260101-{number:02d}", seconds=float(number))
    seconds = [number / 500 for number in (19, 18, 17, 16, 15)]
    assert measured_seconds(tmp_path, {"a": 1}) == {"a": seconds}
    monkeypatch.setattr(earlier, "MOST", 2)
    assert measured_seconds(tmp_path, {"a": 1}) == {"a": seconds[:2]}


def test_the_memory_is_that_of_runs_with_as_many_samples(tmp_path: Path) -> None:
    for number, memory in enumerate((3, 9, 4)):
        record(tmp_path, f"runs/{number}", samples=100, memory=memory * 10**8)
    record(tmp_path, "runs/8", samples=100, memory=8 * 10**8, replicas=2)
    record(tmp_path, "runs/9", samples=101, memory=10**8)
    assert measured_memory(tmp_path) == {1: 4e8, 2: 8e8}
    assert measured_memory(tmp_path, samples=102) == {}


@pytest.mark.parametrize("memory", [None, 0, -1, True, 1e9, "1 GB", [10**9], 10**30, float("nan")])
def test_a_memory_that_cannot_be_is_ignored(memory: Any, tmp_path: Path) -> None:
    record(tmp_path, "runs/1", samples=100, memory=memory)
    record(tmp_path, "runs/2", samples=100)  # as older versions wrote it
    assert measured_memory(tmp_path) == {}
    assert measured_seconds(tmp_path, {"a": 1}) == {"a": [0.002, 0.002]}
    record(tmp_path, "runs/3", samples={"many": 1}, memory=10**9)
    assert measured_memory(tmp_path) == {}


@pytest.mark.slow
def test_a_run_records_what_it_cost(tmp_path: Path) -> None:
    words = ["tracking=journal", "task.samples=40", "trainer.epochs=3", "trainer.batch_size=16"]
    for more in (["replicas=2"], ["-m", "seed=0,1,2"], ["trainer.epochs=1", "seed=5"]):
        assert program.run(tmp_path, *words, *more).code == 0
    places = program.directories(tmp_path)
    costs = [(end_of(place) or {}).get("cost") for place in places]
    kept = [each for each in costs if each is not None]
    assert len(costs) - len(kept) == 1, "of a single epoch compilation cannot be told apart"
    assert sorted(each["replicas"] for each in kept) == [2, 3, 3, 3], "those of the program"
    for each in kept:
        assert each | HERE == each
        assert each["shape"] == key("trainer.batch_size=16")
        assert each["updates"] == 3 * 2
    timed = [program.events(place, "scalars")[-1]["values"]["time/train_s"] for place in places]
    assert [each["seconds"] for each in kept] == [
        seconds for seconds, each in zip(timed, costs, strict=True) if each is not None
    ]
