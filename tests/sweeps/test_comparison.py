"""The comparison that a sweep's own record gets of its jobs."""

from pathlib import Path

import pytest

from harness.reporting.groups import Group, group_runs
from harness.sweeps.comparison import gap_between_backends, summary
from harness.tracking.job_outcomes import jobs as outcomes_in
from harness.tracking.job_outcomes import scalars
from harness.tracking.journalled_run import JournalledRun
from tests.support import program


def job(
    name: str, *losses: float, backend: str = "numpy", task: str = "sum", **params: str
) -> JournalledRun:
    """A finished job with a `val/loss` curve."""
    return JournalledRun(
        directory=Path(name),
        name=name,
        status="FINISHED",
        start_time=0,
        params={"backend.name": backend, "task.name": task} | params,
        metrics={"val/loss": losses[-1]} if losses else {},
        tags={"backend": backend, "task": task},
        losses={"val/loss": dict(enumerate(losses, start=1))},
    )


def groups(*runs: JournalledRun) -> list[Group[JournalledRun]]:
    found = group_runs(runs)
    return sorted(found, key=lambda group: min(r.metrics["val/loss"] for r in group.runs.values()))


FOUR = groups(
    job("numpy·lr=0.1", 4.0, 2.0, lr="0.1"),
    job("torch·lr=0.1", 4.0, 2.0, lr="0.1", backend="torch"),
    job("numpy·lr=0.01", 3.0, 0.5, lr="0.01"),
    job("torch·lr=0.01", 2.97, 0.5, lr="0.01", backend="torch"),
)


def test_the_summary_says_how_far_apart_backends_are_and_who_is_best_by_how_much() -> None:
    gap = gap_between_backends(FOUR)
    assert gap == pytest.approx(0.01)
    said = summary(FOUR, gap, unfinished=0)
    agreement, best = said.split("; ")
    assert agreement == "numpy and torch agree to 0.01"
    assert best == "best: lr=0.01 with val/loss 0.5, 4.0 times lower than the next"


def test_without_a_second_backend_there_is_no_gap() -> None:
    found = groups(job("lr=0.1", 1.0, lr="0.1"), job("lr=0.2", 1.1, lr="0.2"))
    assert gap_between_backends(found) is None
    assert summary(found, None, unfinished=2) == (
        "best: lr=0.1 with val/loss 1, 9.1 % lower than the next; 2 jobs did not finish"
    )


def test_losses_of_several_tasks_are_not_compared() -> None:
    found = groups(job("sum", 1.0), job("binary", 0.1, task="binary"))
    assert summary(found, None, unfinished=0) == (
        "best for binary: val/loss 0.1; best for sum: val/loss 1"
    )


def test_a_sweeps_record_has_its_comparison_and_its_report(tmp_path: Path) -> None:
    words = ("backend=numpy,torch", "optimizer=sgd", "optimizer.lr=0.001,1e30")
    done = program.run(
        tmp_path, "-m", *words, "task.samples=40", "trainer.epochs=2", "tracking=journal"
    )
    assert done.code == 1, done.err
    [sweep] = {directory.parent for directory in program.directories(tmp_path)}
    [event] = program.events(sweep, "scalars")
    gap = event["values"].pop("gap/largest")
    assert 0 <= gap < 1e-4
    assert event["values"] == scalars(outcomes_in(sweep))
    assert event["values"].keys() == {"jobs/finished", "jobs/failed", "loss/best"}
    assert event["values"]["jobs/failed"] == 2
    [text] = [event["text"] for event in program.events(sweep, "summary")]
    assert text.startswith("numpy and torch agree ")
    assert text.endswith("2 jobs did not finish")
    names = {event["path"] for event in program.events(sweep, "file")}
    assert {"report/report.html", "report/curves.png", "report/table.csv"} < names
    assert all((sweep / name).stat().st_size for name in names)
    table = (sweep / "report/table.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in table[1:]] == ["numpy", "torch"]
