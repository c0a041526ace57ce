"""`python -m harness.compare`, on real runs in a real store and on made-up curves."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.compare import __main__ as compare
from harness.reporting.comparison import settings_table
from harness.reporting.gap import gap
from harness.reporting.groups import group_runs
from harness.tracking.job_outcomes import Job, describe_jobs
from harness.tracking.mlflow_reader import TrackedRun
from harness.tracking.mlflow_store import client
from harness.tracking.sent import address
from tests.support import ROOT


def curve(*values: float, start: int = 1) -> pd.DataFrame:
    """A `val/loss` curve over epochs."""
    return pd.DataFrame({"val/loss": values}, index=range(start, start + len(values)))


def test_gap_is_the_largest_relative_difference_over_all_epochs() -> None:
    assert gap(curve(4.0, 2.0, 1.0), curve(4.0, 1.0, 1.0)) == 0.5
    assert gap(curve(1.0, 2.0), curve(1.0, 2.0)) == 0.0
    assert gap(curve(0.0), curve(0.0)) == 0.0
    assert gap(curve(1.0, 2.0), curve(2.0, 1.0)) == gap(curve(2.0, 1.0), curve(1.0, 2.0))


def test_gap_takes_the_worse_of_both_curves() -> None:
    one = curve(1.0, 1.0).assign(**{"train/loss": [1.0, 1.0]})
    other = curve(1.0, 0.9).assign(**{"train/loss": [0.5, 1.0]})
    assert gap(one, other) == 0.5


def test_a_run_that_ended_sooner_is_infinitely_far() -> None:
    assert gap(curve(1.0, 5.0), curve(1.0)) == float("inf")
    assert gap(curve(1.0), curve(1.0, start=7)) == float("inf")
    assert np.isnan(gap(curve(), curve()))


def test_a_run_that_diverged_is_infinitely_far() -> None:
    assert gap(curve(1.0, float("nan")), curve(1.0, 2.0)) == float("inf")
    assert gap(curve(1.0, float("nan")), curve(1.0, float("nan"))) == 0.0


def tracked(start: int, tags: dict[str, str] | None = None, **params: str) -> TrackedRun:
    """A run with parameters only."""
    names = {key.replace("__", "."): value for key, value in params.items()}
    return TrackedRun(
        experiment_id="1",
        mlflow=SimpleNamespace(),
        run_id=str(start),
        name="",
        status="FINISHED",
        start_time=start,
        params=names,
        metrics={},
        tags=tags or {},
    )


def test_groups_differ_in_nothing_but_the_backend() -> None:
    runs = [
        tracked(1, task__name="sum", seed="0", backend__name="torch", device="cpu"),
        tracked(2, task__name="sum", seed="0", backend__name="numpy", device="auto"),
        tracked(3, task__name="sum", seed="1", backend__name="numpy"),
        tracked(4, task__name="binary", seed="1", backend__name="numpy"),
    ]
    groups = {g.title: list(g.runs) for g in group_runs(runs)}
    assert groups == {
        "sum seed=0": ["numpy", "torch"],  # the reference first
        "sum seed=1": ["numpy"],
        "binary": ["numpy"],
    }


def test_what_follows_from_a_preset_is_no_difference_of_its_own() -> None:
    runs = [
        tracked(i, task__name="sum", semantics__name=name, semantics__biases=biases, seed=seed)
        for i, (name, biases, seed) in enumerate(
            [("torch", "double", "0"), ("torch", "double", "1"), ("keras", "single", "0")]
        )
    ]
    assert [g.title for g in group_runs(runs)] == [
        "sum seed=0 semantics.name=torch",
        "sum seed=1 semantics.name=torch",
        "sum seed=0 semantics.name=keras",
    ]
    changed = tracked(9, task__name="sum", semantics__name="torch", semantics__biases="single")
    assert "semantics.biases=single" in group_runs([*runs, changed])[-1].title


def test_many_differences_are_listed_apart() -> None:
    """By those of a group's settings that are not the usual ones."""
    usual = {f"trainer__long_name_{i}": "0" for i in range(5)}
    runs = [
        tracked(i, None, task__name="sum", **usual | {f"trainer__long_name_{i}": "1"})
        for i in range(5)
    ]
    runs.append(tracked(5, None, task__name="sum", **usual))
    found = [(g.title, g.settings) for g in group_runs(runs)]
    assert found[0] == ("sum #1", "trainer.long_name_0=1")
    assert found[5] == ("sum #6", "the usual ones")
    assert len(set(found)) == 6
    listed = settings_table(group_runs(runs)).to_numpy().tolist()
    assert len(listed) == 7
    assert listed[0][0] == "sum (usual)"
    assert listed[0][1].startswith("trainer.long_name_0=0 trainer.long_name_1=0")


def test_of_repeated_runs_the_latest_counts() -> None:
    runs = [tracked(t, task__name="sum", backend__name="numpy") for t in (3, 9, 5)]
    assert group_runs(runs)[0].runs["numpy"].start_time == 9


def test_a_preset_gives_its_name() -> None:
    runs = [
        tracked(i, {"preset": name}, task__name="next_value", task__series=name)
        for i, name in enumerate(("notebook_ramp", "notebook_noise"))
    ]
    assert {g.title for g in group_runs(runs)} == {"notebook_ramp", "notebook_noise"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps of real runs; the second has a task without curves."""
    folder = tmp_path_factory.mktemp("compared")
    for arguments in (
        ["task=sum", "backend=numpy", "trainer.epochs=2"],
        ["experiment=notebook_multi_step,notebook_forward", "backend=numpy,torch"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "harness", "-m", *arguments],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    return folder / "results"


def run(*arguments: str) -> int:
    return compare.main(list(arguments))


def newest(results: Path) -> Path:
    return max((results / "reports").iterdir())


def test_the_latest_sweep_is_compared(results: Path, capsys: Any) -> None:
    assert run("--results", str(results)) == 0
    assert "4 runs in 2 groups" in capsys.readouterr().out
    folder = newest(results)
    table = pd.read_csv(folder / "table.csv").set_index(["task", "backend"])
    assert list(table.index.get_level_values("backend")) == ["numpy", "torch"] * 2
    multi = table.loc["notebook_multi_step"]
    assert (multi["parameters"] == 2702).all()
    assert 0 < multi.loc["torch", "gap"] < 1e-3
    assert multi.loc["numpy", "gap"] == 0
    assert (multi["largest gap"] == multi["gap"].max()).all()
    rows = pd.read_csv(folder / "predictions.csv")
    probe = rows[(rows["task"] == "notebook_multi_step") & (rows["split"] == "probe")]
    assert probe["true"].tolist() == [100.0, 110.0]
    np.testing.assert_allclose(probe["numpy"], probe["torch"], rtol=1e-3)


def test_the_sweeps_own_report_has_the_same_numbers(results: Path) -> None:
    assert run("--results", str(results)) == 0
    [sweep] = results.glob("multirun/*/1")
    places = (newest(results), sweep.parent / "report")
    by_command, own = (
        pd.read_csv(folder / "table.csv").sort_values(["task", "backend"]) for folder in places
    )
    pd.testing.assert_frame_equal(by_command.reset_index(drop=True), own.reset_index(drop=True))
    parent = address(sweep.parent)
    assert parent is not None
    metrics = client(parent["uri"]).get_run(parent["run_id"]).data.metrics
    assert metrics["gap/largest"] == by_command["largest gap"].max()
    assert metrics["jobs/finished"] == 4


def test_the_html_report_needs_no_other_file(results: Path) -> None:
    assert run("--results", str(results)) == 0
    text = (newest(results) / "report.html").read_text()
    assert text.count("<img") == text.count("src='data:image/png;base64,") == 1
    assert "http" not in text.replace("sqlite:", "")
    assert "![loss curves](curves.png)" in (newest(results) / "report.md").read_text()
    assert (newest(results) / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_runs_are_chosen_by_parent_experiment_and_filter(results: Path, capsys: Any) -> None:
    place = ["--results", str(results)]
    assert run(*place, "--experiment", "sum") == 0
    assert "1 run in 1 group of " in capsys.readouterr().out
    assert run(*place, "--filter", "params.`backend.name` = 'numpy'") == 0
    assert "3 runs in 3 groups" in capsys.readouterr().out
    journals = sorted((results / "multirun").glob("*/journal.jsonl"))
    parent = address(journals[0].parent)
    assert parent is not None
    assert run(*place, "--parent", parent["run_id"]) == 0
    assert "1 run in 1 group of " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--experiment", "summ"], "Did you mean 'sum'?"),
        (["--parent", "nobody"], "no runs found"),
        (["--filter", "metrics.x ="], "MLflow does not answer this: "),
        (["--uri", "http://127.0.0.1:9"], "MLflow does not answer this: "),
        (["--uri", "sqlite:////nowhere/x.db"], "sqlite:////nowhere/x.db"),
    ],
)
def test_a_choice_that_finds_nothing_is_explained(
    results: Path, capsys: Any, arguments: list[str], said: str
) -> None:
    assert run("--results", str(results), *arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1


def test_a_folder_without_runs_is_named(tmp_path: Path, capsys: Any) -> None:
    assert run("--results", str(tmp_path)) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_sweeps_description_ranks_by_loss_and_fits() -> None:
    def job(name: str, loss: float | None) -> Job:
        return Job(number=0, folder="0", name=name, status="FINISHED", loss=loss)

    few = [job("none", None), job("worse", 2.0), job("nan", float("nan")), job("best", 1.0)]
    rows = describe_jobs(few, "command").splitlines()[2:6]
    assert [row.split("|")[1].strip() for row in rows] == ["best", "worse", "none", "nan"]
    many = describe_jobs([job(f"job {i} {'x' * 60}", float(i)) for i in range(500)], "command")
    assert len(many) <= 8000
    assert many.endswith("``command``")
    assert "more" in many
    assert len(describe_jobs(few, "c" * 9000)) == 8000


@pytest.mark.parametrize("damage", ["flip", "cut"])
def test_damaged_predictions_are_left_out_and_the_rest_is_compared(
    results: Path, capsys: Any, damage: str
) -> None:
    path = min(results.rglob("artifacts/predictions.csv"))
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1] if damage == "cut" else bytes([whole[0] ^ 1]) + whole[1:])
        assert run("--results", str(results), "--filter", "attributes.status = 'FINISHED'") == 0
    finally:
        path.write_bytes(whole)
    shown = capsys.readouterr()
    assert "5 runs in 3 groups" in shown.out
    assert shown.err.endswith(": its predictions.csv is damaged; left out\n")
    assert shown.err.count("\n") == 1
