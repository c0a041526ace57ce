"""The report of a search: its picture, its best trials and its importances are in the page."""

import base64
import re
from pathlib import Path

import numpy as np

from harness.core.file_names import SEARCH_PLOT
from harness.tracking.job_outcomes import jobs
from tests.support import program

TINY = ["-m", "hydra/sweeper=optuna", "hydra.sweep.dir=sw", "task.samples=40", "trainer.epochs=2"]
TINY += ["optimizer.lr=tag(log,interval(1e-4,1e-1))", "tracking=journal"]


def pages(folder: Path, *words: str) -> tuple[str, str]:
    """The report of a search as HTML and as Markdown; its picture is in the first."""
    done = program.run(folder, *TINY, *words)
    assert done.code == 0, done.err
    place = folder / "sw/report"
    page = (place / "report.html").read_text()
    picture = (place / SEARCH_PLOT).read_bytes()
    assert f"src='data:image/png;base64,{base64.b64encode(picture).decode()}'" in page
    assert page.count("<img") == page.count("src='data:image/png;base64,") == 2, "and the curves"
    recorded = {event["path"] for event in program.events(folder / "sw", "file")}
    assert f"report/{SEARCH_PLOT}" in recorded
    return page, (place / "report.md").read_text()


def tables(page: str) -> list[dict[str, list[str]]]:
    """The tables of a page, by column."""
    found: list[dict[str, list[str]]] = []
    for table in re.findall(r"<table.*?</table>", page, re.DOTALL):
        rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
        head, *body = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
        found.append(dict(zip(head, map(list, zip(*body, strict=True)), strict=True)))
    return found


def test_a_search_shows_its_best_trials_and_what_they_depend_on(tmp_path: Path) -> None:
    words = ["model.units=int(interval(2,9))", "trainer.clip=choice(0.5,1)"]
    words += ["hydra.sweeper.trials=24"]
    page, text = pages(tmp_path, *words, "hydra.sweeper.sampler=random")
    assert "<title>Search</title>" in page
    assert f"]({SEARCH_PLOT})" in text
    trials, importances, runs, *_ = tables(page)
    ranked = sorted(jobs(tmp_path / "sw"), key=lambda job: job.loss or 0.0)
    assert trials["trial"] == [str(job.number) for job in ranked[:10]]
    assert trials["val/loss"] == [f"{job.loss:.6g}" for job in ranked[:10]]
    assert f"model.units={trials['model.units'][0]}" in ranked[0].command
    assert runs["task"][:10] == trials["runs"], "as the table of runs has them"
    assert set(importances["parameter"]) == {"optimizer.lr", "model.units", "trainer.clip"}
    assert ranked[0].command in page
    assert ranked[0].command in text


def test_a_search_with_two_objectives_shows_its_front(tmp_path: Path) -> None:
    objectives = "hydra.sweeper.objectives=[val/loss,params/total]"
    page, _ = pages(tmp_path, "model.units=2,4,8", objectives, "hydra.sweeper.trials=8")
    assert "<h2>Pareto front</h2>" in page
    assert "Importance" not in page
    front, *_ = tables(page)
    assert (np.diff([float(loss) for loss in front["val/loss"]]) > 0).all()
    assert (np.diff([int(count) for count in front["params/total"]]) < 0).all()


def test_another_sweep_has_no_such_section(tmp_path: Path) -> None:
    words = ["-m", "hydra.sweep.dir=sw", "task.samples=40", "trainer.epochs=2", "seed=0,1"]
    assert program.run(tmp_path, *words, "tracking=journal").code == 0
    page = (tmp_path / "sw/report/report.html").read_text()
    assert "<title>Backends compared</title>" in page
    assert page.count("<img") == 1
    assert not (tmp_path / "sw/report" / SEARCH_PLOT).exists()
