"""`python -m harness.why` from its words to its files.

Decides on mistakes, each in one line, on equal sides, on a gap that is none, and on two tracked
runs.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.config.compose import compose
from harness.core.errors import ConfigError
from harness.why import __main__ as why
from harness.why.retrain import losses
from tests.support import ROOT
from tests.support.program import PATIENCE, artifacts, tracked, uses_mlflow, with_database
from tests.support.why_questions import SMALL, said

pytestmark = uses_mlflow


def test_no_gap_is_said_and_nothing_is_shared_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Drawing a GRU's kernels in another way is a change, but not one with a direction."""
    words = [*SMALL, "model=gru", "model.units=4", "b.semantics.init_gates=each", "replicas=6"]
    assert why.main([*words, "--results", str(tmp_path)]) == 0
    out, _ = said(capsys)
    assert "No gap in final val/loss beyond the noise of 6 seeds" in out
    assert "init_gates fused each" in out
    assert "share" not in out
    assert "replicas=12" in out
    [folder] = (tmp_path / "why").iterdir()
    facts = json.loads((folder / "why.json").read_text())
    assert [o["beyond_noise"] for o in facts["outcomes"]] == [False, False]
    assert not (folder / "why.png").exists()


def test_equal_sides_are_not_trained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = [*SMALL, "--results", str(tmp_path), "b.semantics.rmsprop_eps=1e-3"]
    assert why.main(words) == 0
    out, _ = said(capsys)
    assert "both sides train alike. Give each its own with a.KEY=VALUE" in out
    assert "No setting that acts differs" in out
    assert "rmsprop_eps 1e-08 0.001" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["b.task=binary"], "task: sum on side a, binary on side b"),
        (["b.task.length=7"], "task.length: 4 on side a, 7 on side b"),
        (
            ["task=running_sum", "b.model.returns=last"],
            "model.returns: every_step on side a, last on side b",
        ),
        (["a.seed=1"], "a.seed=1: both sides share it; write seed=1."),
        (["a.results=foo"], "a.results=foo: both sides share it; write results=foo."),
        (["a.replicas=2", "b.replicas=3"], "a.replicas=2: both sides share it; write replicas=2."),
        (["b.tracking=journal"], "b.tracking=journal: both sides share it"),
        (["a.model=zzz"], "a.model=zzz: must be one of gru"),
        (["b.model.units=0"], "b.model.units=0: must be a whole number"),
        (["results=/proc/x", "b.optimizer.lr=0.1"], "results: cannot write there ("),
        (["--seed", "-1", "b.optimizer.lr=0.1"], "--seed=-1: must be a whole number, at least 0"),
        (["replicas=1", "b.optimizer.lr=0.1"], "replicas=1: an interval needs two or more"),
        (["trainer.epochs=0"], "trainer.epochs=0: nothing is trained"),
        (["somewhere"], "somewhere: name two runs"),
        (["--evaluations", "x"], "--evaluations x: must be a whole number"),
        (["runs/x=1", "runs/y=2"], "runs/x=1: there is no such directory"),
        (["b.optimizer.lr=0.1,0.2"], "optimizer.lr=0.1,0.2"),
        (["~b.trainer.clip"], "trainer.clip: there is no such key"),
        (["here", "there"], "here: there is no such directory"),
        (["b.semantics.biases=triple"], "semantics.biases=triple: must be one of"),
        (["b.optimiser.lr=1"], "optimiser"),
        (
            ["--train-backend", "nmupy", "b.optimizer.lr=1"],
            "--train-backend nmupy: must be one of",
        ),
        (["a.semantics=torch", "b.semantics=keras", "--evaluations", "20"], "--evaluations 20"),
    ],
)
def test_mistakes_end_in_one_line(
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert why.main([*SMALL, *words]) == 2
    _, err = said(capsys)
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_divergence_names_what_was_switched(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["b.optimizer.lr=1e30", "optimizer=sgd", "--results", str(tmp_path)]
    assert why.main([*SMALL[:-1], *words]) == 1
    _, err = said(capsys)
    assert "with A's settings and B's optimizer.lr: loss not finite" in err
    assert "try 0.01" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "run"),
    [
        ("~trainer.clip", False),
        ("~b.trainer.clip", False),
        ("++b.optimizer.lr=1", False),
        ("b.task@x=1", False),
        ("results/runs/x=1", True),
        ("~/runs/x", True),
        ("sum·lr=0.1", True),
    ],
)
def test_runs_are_told_from_overrides(typed: str, run: bool) -> None:
    assert why.is_run(typed) == run


def test_a_deletion_is_for_its_side() -> None:
    from harness.why.sides import side_overrides

    words = ["~b.trainer.clip", "++a.optimizer.lr=1", "seed=1"]
    assert side_overrides("a", words) == ["++optimizer.lr=1", "seed=1"]
    assert side_overrides("b", words) == ["~trainer.clip", "seed=1"]


def test_a_damaged_configuration_of_a_run_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "config.yaml").write_text("model: {units: 5")
    assert why.main([str(tmp_path), str(tmp_path)]) == 2
    _, err = said(capsys)
    assert err.startswith(f"{tmp_path / 'config.yaml'}: is damaged (")
    assert err.count("\n") == 1


def program(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.slow
def test_the_whole_command(tmp_path: Path) -> None:
    folder = with_database(tmp_path)
    words = [*SMALL, "tracking=mlflow", "replicas=4", "a.semantics=torch", "b.semantics=keras"]
    done = program(folder, "harness.why", *words, "b.optimizer.lr=0.0005", "--evaluations", "140")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ ± \d+ % is optimizer.lr", " ".join(done.stdout.split()))
    assert "sampled: " in done.stdout
    assert "these differ, too, but play no part" in done.stdout
    [written] = (folder / "results/why").iterdir()
    table: Any = pd.read_csv(written / "why.csv")
    final = table[table["measure"] == "final val/loss"].set_index("setting")
    gap, rest = final.loc["(gap)"], final.drop("(gap)")
    assert rest["part"].sum() == pytest.approx(gap["part"], rel=1e-9)
    assert rest["share"].sum() == pytest.approx(1.0, rel=1e-9)
    facts = json.loads((written / "why.json").read_text())
    left = facts["outcomes"][0]["interplay_from_b"]
    assert gap["interplay_from_b"] == pytest.approx(left)
    assert left == pytest.approx(rest["part"].iloc[:-1].sum() - rest["alone_from_b"].sum())
    assert facts["seeds"] == [0, 1, 2, 3]
    assert facts["sentences"][0] in " ".join((written / "report.md").read_text().split())
    losses_of_a = facts["outcomes"][0]["losses"]["a"]
    np.testing.assert_allclose(
        losses_of_a, losses(compose([*SMALL, "replicas=4", "semantics=torch"]))[0]
    )
    assert (written / "why.png").read_bytes()[:4] == b"\x89PNG"
    assert "data:image/png;base64" in (written / "report.html").read_text()
    assert len(pd.read_csv(written / "coalitions.csv")) <= 140
    [run] = tracked(folder)
    assert run.info.status == "FINISHED"
    assert run.data.tags["kind"] == "why"
    assert run.data.metrics["why/gap"] == pytest.approx(gap["part"])
    assert run.data.metrics["why/interplay_from_b"] == pytest.approx(left)
    assert run.data.metrics["why/share/optimizer.lr"] == pytest.approx(
        final.loc["optimizer.lr", "share"]
    )
    assert run.data.params["b.optimizer.lr"] == "0.0005"
    assert run.data.params["model.units"] == "4"
    files = artifacts(folder, run.info.run_id)
    assert {"report.md", "report.html", "why.json", "why.csv", "why.png"} <= files


@pytest.mark.slow
def test_two_tracked_runs(tmp_path: Path) -> None:
    """By directory and by name; they were trained with one seed and are trained with several."""
    folder = with_database(tmp_path)
    for words in (["optimizer.lr=0.01"], ["optimizer.lr=0.0001", "semantics=keras"]):
        done = program(folder, "harness", *SMALL, "tracking=mlflow", "replicas=1", *words)
        assert done.returncode == 0, done.stderr
    first, second = sorted((folder / "results/runs").iterdir())
    name = tracked(folder)[1].info.run_name
    a, b = why.read_sides(
        why.parse_arguments([str(first), name, "--results", str(folder / "results")])
    )
    assert (a.optimizer.lr, b.optimizer.lr, b.semantics.name) == (0.01, 0.0001, "keras")
    assert a.replicas == b.replicas == 16
    done = program(
        folder, "harness.why", str(first), str(second), "replicas=5", "tracking.name=journal"
    )
    assert done.returncode == 0, done.stderr
    out = " ".join(done.stdout.split())
    assert "Both runs are trained again" in out
    assert "5 paired seeds (0…4)" in out
    assert re.search(r"100 ± \d+ % is optimizer.lr", out)
    done = program(folder, "harness.why", str(first), str(second), "b.task.length=5")
    assert done.returncode == 2
    assert "task.length: 4 on side a, 5 on side b" in done.stderr
    assert (
        why.read_sides(why.parse_arguments([str(first), str(second), "b.optimizer.lr=1"]))[
            1
        ].optimizer.lr
        == 1
    )
    for wrong in ("b.optimizer.lr=0.1,0.2", "experiment=mine", "~b.trainer.clip", "b.model=gru"):
        with pytest.raises(ConfigError, match="already has every value"):
            why.read_sides(why.parse_arguments([str(first), str(second), wrong]))
    pointed = why.read_question(
        why.parse_arguments(
            [str(first), str(second), "--uri", "sqlite:///x.db", "--results", "there"]
        )
    )
    assert (pointed.a.tracking.uri, pointed.a.results) == ("sqlite:///x.db", "there")
    done = program(folder, "harness.why", str(first), name[:-1])
    assert done.returncode == 2
    assert "Did you mean" in done.stderr
