"""`python -m harness.why`: planted differences are found, and what cannot act is no suspect."""

import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.config.compose import compose
from harness.config.schema import Config
from harness.core.errors import ConfigError, Diverged
from harness.core.semantics import Semantics
from harness.reporting.plots import figure
from harness.why import __main__ as why
from harness.why import plot
from harness.why.answer import Answer, Outcome, Question, explain, find_answer
from harness.why.follow_up import follow_up
from harness.why.players import RULES, Case, Player, coalition, differences, format_value
from harness.why.retrain import losses
from harness.why.sentences import (
    caption,
    distinct,
    headline,
    interplay,
    number,
    percent,
    plus_minus,
    sentence,
)
from harness.why.shapley import MIN_PAIRS, Estimate, design, half_width
from tests.support import ROOT
from tests.support.program import PATIENCE, artifacts, tracked, uses_mlflow, with_database

pytestmark = uses_mlflow
SMALL = (
    *("task.samples=60", "task.length=4", "model.units=4", "trainer.epochs=2", "replicas=3"),
    *("tracking=journal", "optimizer.lr=0.01"),
)


def ask(*words: str) -> Question:
    return why._question(why._parse([*SMALL, *words]))


# ------------------------------------------------------------------ what acts and what does not

# Key: two values, overrides with which it plays no part, overrides with which it acts.
SGD = "optimizer=sgd"
KEPT = "task.val_fraction=0"
CASES: dict[str, tuple[str, str, list[str], list[str]]] = {
    "semantics.init_gates": ("fused", "each", ["model=rnn"], ["model=gru"]),
    "semantics.forget_bias": ("0", "1", ["model=gru"], ["model=lstm"]),
    "semantics.head_kernel_init": ("zeros", "orthogonal", ["model.head=none"], []),
    "semantics.head_bias_init": ("zeros", "standard_normal", ["model.head=none"], []),
    "semantics.biases": ("single", "double", ["model=gru"], ["model=lstm"]),
    "semantics.gru_biases": ("single", "candidate", ["model=lstm"], ["model=gru"]),
    "semantics.gru_reset": ("after", "before", ["model=rnn"], ["model=gru"]),
    "semantics.adam_eps": ("1e-8", "1e-3", [SGD], ["optimizer=adam"]),
    "semantics.adam_eps_place": ("corrected", "uncorrected", ["optimizer=rmsprop"], []),
    "semantics.beta_powers": ("float64", "training", ["precision=float64"], []),
    "semantics.momentum_lr": (
        *("outside", "inside"),
        [SGD, "optimizer.momentum=0.9"],
        [SGD, "optimizer.momentum=0.9", "trainer.schedule=cosine"],
    ),
    "semantics.rmsprop_rho": (
        *("0.9", "0.99"),
        ["optimizer=rmsprop", "optimizer.rho=0.9"],
        ["optimizer=rmsprop"],
    ),
    "semantics.rmsprop_eps": ("1e-8", "1e-3", ["optimizer=adam"], ["optimizer=rmsprop"]),
    "semantics.rmsprop_eps_place": ("inside", "outside", [SGD], ["optimizer=rmsprop"]),
    "semantics.weight_decay": (
        *("coupled", "decoupled"),
        [SGD, "optimizer.weight_decay=0.1"],
        ["optimizer.weight_decay=0.1"],
    ),
    "semantics.clip_scope": ("global", "variable", [], ["trainer.clip=0.1"]),
    "semantics.clip_eps": (
        *("0", "0.1"),
        ["trainer.clip=0.1", "semantics.clip_scope=value"],
        ["trainer.clip=0.1"],
    ),
    "semantics.bce": (
        *("logits", "clipped"),
        ["task=sum"],
        ["task=binary", "optimizer.lr=30"],
    ),
    "semantics.epoch_loss": ("samples", "batches", ["trainer.batch_size=7"], [KEPT]),
    "semantics.last_batch": ("keep", "drop", ["trainer.batch_size=12"], ["trainer.batch_size=7"]),
    "trainer.final_lr": ("0.1", "0.5", [], ["trainer.schedule=exponential"]),
    "trainer.min_delta": ("0", "100", [], ["trainer.patience=1", "trainer.epochs=6"]),
}
TO_ROUNDING = ("semantics.momentum_lr", "semantics.weight_decay")
NOT_TRAINED = {"semantics.tf32", "semantics.nesterov"}  # needs a GPU; has one value alone


def both(key: str, words: list[str]) -> tuple[Config, Config]:
    one, other, *_ = CASES[key]
    a, b = (compose([*SMALL, *words, f"{key}={value}"]) for value in (one, other))
    if a.model.head == "none":
        a, b = (replace(side, model=replace(side.model, units=1)) for side in (a, b))
    return a, b


def samples(config: Config) -> int:
    from harness.training.plan import prepare

    return prepare(config).splits.train.x.shape[1]


def test_every_rule_has_a_case() -> None:
    assert CASES.keys() | NOT_TRAINED == RULES.keys()


@pytest.mark.parametrize("key", CASES)
def test_a_field_that_plays_no_part_changes_nothing(key: str) -> None:
    a, b = both(key, CASES[key][2])
    acting, idle = differences(a, b, samples(a), gpu=False)
    assert [i.player.keys for i in idle] == [(key,)] and not acting
    if key in TO_ROUNDING:
        np.testing.assert_allclose(losses(a), losses(b), rtol=1e-5)
    else:
        np.testing.assert_array_equal(losses(a), losses(b))


@pytest.mark.parametrize("key", CASES)
def test_a_field_that_acts_changes_something(key: str) -> None:
    a, b = both(key, CASES[key][3])
    acting, idle = differences(a, b, samples(a), gpu=False)
    assert [p.keys for p in acting] == [(key,)] and not idle
    limit = 1e-4 if key in TO_ROUNDING else 0.0
    assert np.abs(losses(a) / losses(b) - 1).max() > limit


@pytest.mark.parametrize("key", ["kernel_init", "recurrent_init", "bias_init"])
def test_initialisers_always_act(key: str) -> None:
    a, b = (compose([*SMALL, f"semantics.{key}={v}"]) for v in ("zeros", "standard_normal"))
    assert [p.name for p in differences(a, b, samples(a), gpu=False)[0]] == [key]
    assert not np.array_equal(losses(a), losses(b))


def test_every_rule_of_the_semantics_has_been_thought_of() -> None:
    keys = {f"semantics.{f.name}" for f in fields(Semantics)} - {"semantics.name"}
    always = {f"semantics.{name}" for name in ("kernel_init", "recurrent_init", "bias_init")}
    assert {key for key in RULES if key.startswith("semantics.")} | always == keys


def test_tensor_float_32_needs_a_gpu() -> None:
    acts, _ = RULES["semantics.tf32"]
    config = compose([*SMALL])
    assert acts(Case(config, 40, gpu=True)) and not acts(Case(config, 40, gpu=False))


def test_a_field_acts_if_any_coalition_makes_it() -> None:
    """Neither side has both momentum and a schedule; A with B's schedule has."""
    words = ["optimizer=sgd", "a.optimizer.momentum=0.5", "b.trainer.schedule=cosine"]
    question = ask(*words, "a.semantics.momentum_lr=inside")
    names = {p.name for p in question.players}
    assert names == {"optimizer.momentum", "trainer.schedule", "momentum_lr"}


def test_another_optimizer_or_cell_is_one_player() -> None:
    question = ask("b.optimizer=sgd", "b.optimizer.lr=0.5", "b.model=lstm", "b.model.units=8")
    assert [(p.name, p.a, p.b) for p in question.players] == [
        ("model", "rnn units=4", "lstm units=8"),
        ("optimizer", "adam lr=0.01 beta1=0.9 beta2=0.999", "sgd lr=0.5"),
    ]
    assert question.coalition(0).optimizer.name == "adam"
    assert question.coalition(2).optimizer.lr == 0.5
    assert question.coalition(2).model.cell == "rnn"


def test_an_optimizers_own_settings_are_shown_unless_they_are_off() -> None:
    momentum = ("a.optimizer=sgd", "a.optimizer.momentum=0.9")
    [player] = ask(*momentum, "b.optimizer=adam", "b.optimizer.beta1=0.8").players
    assert player.a == "sgd momentum=0.9"
    assert player.b == "adam beta1=0.8 beta2=0.999"


def test_settings_that_only_go_together_are_one_player() -> None:
    words = ["optimizer=sgd", "b.optimizer.momentum=0.9", "b.optimizer.nesterov=true"]
    [player] = ask(*words).players
    assert (player.name, player.a, player.b) == (
        "optimizer.momentum and optimizer.nesterov",
        "0, false",
        "0.9, true",
    )


def test_many_settings_are_no_reason_to_ask_for_more_evaluations() -> None:
    words = ["a.semantics=torch", "b.semantics=keras", "model=lstm", "optimizer=rmsprop", KEPT]
    words += ["optimizer.weight_decay=0.01", "trainer.clip=1", "b.optimizer.lr=0.002"]
    words += ["b.trainer.batch_size=16", "b.trainer.epochs=10", "b.model.units=16"]
    question = ask(*words, "b.trainer.schedule=cosine")
    assert len(question.players) > 15
    assert len(question.design.orders) >= MIN_PAIRS
    said = caption(question, Answer([outcome([[1.0, 1.0]], [0.0, 0.0])], True, {}, 0.0))
    assert f"sampled: {2 * len(question.design.orders)} permutations in antithetic pairs, " in said
    assert f"{len(question.design.coalitions)} coalitions of " in said


def test_seeds_are_several_unless_they_are_chosen() -> None:
    assert compose([*SMALL, "replicas=1"]).replicas == 1
    words = [word for word in SMALL if not word.startswith("replicas")]
    assert why._question(why._parse(words)).a.replicas == 16


def test_what_does_not_train_is_no_difference() -> None:
    question = ask("a.trainer.checkpoint_every=1", "b.trainer.save_gradient=true")
    assert question.identical and not question.idle


def test_device_and_threads_are_listed_and_another_device_settles_nothing() -> None:
    question = ask("a.threads=2")
    assert question.identical and [i.player.name for i in question.idle] == ["threads"]
    question = ask("a.device=cpu", "b.device=auto", "b.threads=3")
    rows = [(i.player.name, i.player.a, i.player.b) for i in question.idle]
    assert rows == [("device", "cpu", "auto"), ("threads", "1", "3")]
    assert "part of the frameworks" in question.idle[0].reason
    assert not question.identical and question.same_framework  # NumPy has the CPU alone
    trains = compose(["backend=torch"]).backend
    on = replace(question, backend=trains, a=compose(["backend=torch", "device=cpu"]))
    assert not replace(on, b=compose(["backend=torch", "device=auto"])).same_framework
    assert replace(on, b=on.a).same_framework


def test_a_coalition_has_b_s_values_and_nothing_else() -> None:
    a, b = compose([*SMALL, "semantics=torch"]), compose([*SMALL, "semantics=keras"])
    chosen = [Player(("semantics.biases",), "", ""), Player(("semantics.adam_eps",), "", "")]
    made = coalition(a, b, chosen).semantics
    assert made == replace(a.semantics, biases="single", adam_eps=1e-7)


# ------------------------------------------------------------------------------ planted answers


def test_one_difference_has_the_whole_gap() -> None:
    question = ask("b.optimizer.lr=0.0001", "a.semantics.forget_bias=0")
    answer = find_answer(question)
    for outcome in answer.outcomes:
        assert outcome.significant and outcome.gap > 0
        assert outcome.share(outcome.parts.mean[0]) == pytest.approx(1.0, abs=1e-12)
        assert outcome.framework == (0.0, 0.0)
        said = sentence(question, outcome)
        half = 100 * outcome.half / outcome.gap  # a part that is all of the gap has its interval
        assert f" 100 ± {half:.{0 if half >= 0.95 else 1}f} % is optimizer.lr; " in said
        assert "no framework has a part" in said
    assert [i.player.name for i in question.idle] == ["forget_bias"]


def test_two_differences_against_trainings_by_hand() -> None:
    words = {"optimizer.lr": ("0.01", "0.001"), "trainer.batch_size": ("8", "24")}
    question = ask(*(f"{s}.{k}={v[i]}" for k, v in words.items() for i, s in enumerate("ab")))
    answer = find_answer(question)
    v = {
        (i, j): losses(compose([*SMALL, f"optimizer.lr={lr}", f"trainer.batch_size={size}"]))
        for i, lr in enumerate(words["optimizer.lr"])
        for j, size in enumerate(words["trainer.batch_size"])
    }
    lr = (v[1, 0] - v[0, 0] + v[1, 1] - v[0, 1]) / 2
    size = (v[0, 1] - v[0, 0] + v[1, 1] - v[1, 0]) / 2
    order = [p.name for p in question.players]
    assert order == ["optimizer.lr", "trainer.batch_size"]
    for k, outcome in enumerate(answer.outcomes):
        np.testing.assert_allclose(outcome.parts.replicas, [lr[k], size[k]], rtol=1e-9)
        np.testing.assert_allclose(outcome.alone_a[0], v[1, 0][k] - v[0, 0][k], rtol=1e-9)
        np.testing.assert_allclose(outcome.alone_b[0], v[1, 1][k] - v[0, 1][k], rtol=1e-9)
        np.testing.assert_allclose(outcome.b - outcome.a, v[1, 1][k] - v[0, 0][k], rtol=1e-9)
        from_a, from_b = outcome.interplay()
        mixed = (v[1, 1] - v[1, 0] - v[0, 1] + v[0, 0])[k].mean()
        assert (from_a, from_b) == pytest.approx((mixed, -mixed), rel=1e-6)


def test_processes_give_the_same_numbers() -> None:
    from harness.why.retrain import retrain

    question = ask("b.optimizer.lr=0.001", "b.trainer.batch_size=24")
    configs = {mask: question.coalition(mask) for mask in question.design.coalitions}
    here, there = (dict(retrain(configs, seconds)) for seconds in (0.0, 1e9))
    assert here.keys() == there.keys()
    for mask, value in here.items():
        np.testing.assert_array_equal(value, there[mask])


def test_the_frameworks_have_what_the_settings_leave() -> None:
    """A's framework adds 0.5 to every loss and B's 0.2, so 0.3 less is the frameworks' doing."""
    rng = np.random.default_rng(0)
    values = {mask: rng.normal(size=(2, 4)) for mask in range(4)}
    ends = np.stack([values[0], values[3]])
    own = ends + np.array([0.5, 0.2])[:, None, None]
    for outcome in explain(["x", "y"], own, ends, values, design(2, 4, rng)):
        assert outcome.framework == pytest.approx((-0.3, 0.0))
        total = outcome.parts.mean.sum() + outcome.framework[0]
        assert total == pytest.approx(outcome.gap)


def test_a_real_framework_has_next_to_no_part() -> None:
    question = ask("a.backend=torch", "b.optimizer.lr=0.0001")
    outcome = find_answer(question).outcomes[0]
    mean, _ = outcome.framework
    assert 0 < abs(outcome.share(mean)) < 1e-3  # not 0: PyTorch rounds in another order
    assert "account for less than 0.1 %" in sentence(question, outcome)


def test_without_another_setting_all_of_a_gap_is_the_frameworks() -> None:
    question = ask("a.backend=torch")
    ends = np.zeros((2, 2, 3))
    own = np.stack([np.zeros((2, 3)), np.array([[1.0, 1.1, 0.9]] * 2)])
    outcome = explain(question.measures, own, ends)[0]
    assert not question.identical and not question.players
    assert sentence(question, outcome) == (
        "Of the gap of 1.00 ± 0.25 in final val/loss, the frameworks themselves account for "
        "100 ± 25 %."
    )


def test_replicas_that_stop_early_count_as_they_would_alone() -> None:
    words = [*SMALL, "trainer.patience=1", "trainer.epochs=12", "optimizer.lr=0.3"]
    together = losses(compose(words))
    alone = [losses(compose([*words, "replicas=1", f"seed={s}"]))[:, 0] for s in range(3)]
    np.testing.assert_allclose(together, np.stack(alone, axis=1), rtol=1e-4)


# --------------------------------------------------------------------------------- what is said


def said(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """Standard output with its line breaks as spaces, and standard error."""
    found = capsys.readouterr()
    return " ".join(found.out.split()), found.err


def test_no_gap_is_said_and_nothing_is_shared_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Drawing a GRU's kernels in another way is a change, but not one with a direction."""
    words = [*SMALL, "model=gru", "model.units=4", "b.semantics.init_gates=each", "replicas=6"]
    assert why.main([*words, "--results", str(tmp_path)]) == 0
    out, _ = said(capsys)
    assert "No gap in final val/loss beyond the noise of 6 seeds" in out
    assert "init_gates fused each" in out and "share" not in out
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
    assert "No setting that acts differs" in out and "rmsprop_eps 1e-08 0.001" in out
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
    assert message in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_divergence_names_what_was_switched(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["b.optimizer.lr=1e30", "optimizer=sgd", "--results", str(tmp_path)]
    assert why.main([*SMALL[:-1], *words]) == 1
    _, err = said(capsys)
    assert "with A's settings and B's optimizer.lr: loss not finite" in err
    assert "try 0.01" in err and err.count("\n") == 1


def test_divergence_in_a_side_s_own_backend_names_the_side() -> None:
    from harness.why.answer import _losses_of_side

    with pytest.raises(Diverged, match="side B in numpy: loss not finite"):
        _losses_of_side(compose([*SMALL, "optimizer=sgd", "optimizer.lr=1e30"]), "B")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.714, "71 %"), (0.0042, "0.4 %"), (-0.12, "−12 %"), (1.3, "130 %"), (-1e-9, "0 %")],
)
def test_shares_in_words(share: float, text: str) -> None:
    assert percent(share) == percent(share, 0.0001) == text


@pytest.mark.parametrize(
    ("share", "half", "text"),
    [
        (0.583, 0.141, "58 ± 14 %"),
        (0.064, 0.0534, "6 ± 5 %"),
        (-0.0042, 0.0031, "−0.4 ± 0.3 %"),
        (-0.001, 0.02, "0 ± 2 %"),
        (1.0, 0.0006, "100.0 ± 0.1 %"),
    ],
)
def test_shares_with_their_errors(share: float, half: float, text: str) -> None:
    assert percent(share, half) == text


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.71134, 0.0299, "0.711 ± 0.030"),
        (-12.34, 1.5, "−12.3 ± 1.5"),
        (1234.5, 321.0, "1234 ± 321"),
        (0.0123451, 0.0000512, "(1.2345 ± 0.0051)e−2"),
        (3.2e-7, 1.23e-7, "(3.2 ± 1.2)e−7"),
        (3.2e-7, 1.23e-8, "(3.20 ± 0.12)e−7"),
        (-1e-10, 1.23e-9, "(−0.1 ± 1.2)e−9"),
        (0.5, 1e-17, "0.5"),
        (0.5, 0.0, "0.5"),
        (0.5, float("inf"), "0.5 ± ∞"),
    ],
)
def test_numbers_with_their_errors(mean: float, half: float, text: str) -> None:
    assert plus_minus(mean, half) == text


def test_zero_has_no_sign() -> None:
    assert plus_minus(-0.3, 11.0) == "0 ± 11"
    assert plus_minus(-0.0001, 0.012) == "0.000 ± 0.012"
    assert plus_minus(-1e-10, 4.2e-8) == "(0.0 ± 4.2)e−8"
    assert number(-0.0) == "0"


@pytest.mark.parametrize(
    ("one", "other", "texts"),
    [
        (0.3412, 0.2361, ("0.341", "0.236")),
        (12.5126142, 12.5126139, ("12.5126142", "12.5126139")),
        (12.5, 12.5001, ("12.5000", "12.5001")),
        (2.0, 2.0, ("2", "2")),
        (-0.0, 1.0, ("0", "1")),
    ],
)
def test_levels_have_the_digits_that_tell_them_apart(
    one: float, other: float, texts: tuple[str, str]
) -> None:
    assert distinct(one, other) == texts


def test_a_setting_that_works_against_the_gap_is_said_to() -> None:
    question = ask("b.optimizer.lr=0.001", "b.trainer.batch_size=24")
    values = {0: [0.0, 0.1], 1: [3.0, 3.1], 2: [-1.0, -0.9], 3: [2.0, 2.1]}
    full = {mask: np.array([row] * 2) for mask, row in values.items()}
    ends = np.stack([full[0], full[3]])
    outcome = explain(question.measures, ends, ends, full, question.design)[0]
    assert sentence(question, outcome).startswith(
        "Of the gap of 2 in final val/loss, 150 % is optimizer.lr, "
        "−50 % trainer.batch_size (against it); "
    )


def outcome(parts: list[list[float]], frameworks: list[float], sampling: float = 0.0) -> Outcome:
    """From parts `(n, R)` and frameworks `(R,)`, their sum the gap; switched alone, each setting
    does as much."""
    by_seed, left = np.array(parts), np.array(frameworks)
    seeds = half_width(by_seed)
    found = Estimate(by_seed, seeds, np.full_like(seeds, sampling))
    a = np.zeros_like(left)
    return Outcome("loss", a, by_seed.sum(axis=0) + left, left, by_seed, by_seed, found)


def lr_and_others(count: int = 2) -> Question:
    words = ["b.optimizer.lr=0.001", "b.trainer.batch_size=24", "b.trainer.clip=0.5"]
    return ask(*words[:count])


def test_the_sentence_gives_every_share_its_interval_and_marks_noise() -> None:
    """With two seeds a half width is 12.706 / 2 of their difference."""
    found = outcome([[0.8, 0.81], [0.19, 0.2], [0.0, 0.01]], [0.0, 0.0])
    [half] = half_width(np.array([[0.0, 0.01]]))
    assert 100 * half / found.gap == pytest.approx(6.3, abs=0.05)
    assert sentence(lr_and_others(3), found) == (
        "Of the gap of 1.00 ± 0.19 in loss, 80 ± 6 % is optimizer.lr, 19 ± 6 % "
        "trainer.batch_size, 0 ± 6 % trainer.clip (within the noise); both sides are trained by "
        "numpy, so no framework has a part."
    )


def test_the_interval_of_a_sum_is_that_of_the_summed_seeds() -> None:
    """Two parts that are noisy alone and steady together."""
    found = outcome([[1.0, 1.0], [0.5, -0.1], [-0.4, 0.2]], [0.0, 0.0])
    mean, half = found.together([1, 2])
    assert (mean, half) == pytest.approx((0.1, 0.0), abs=1e-15)
    assert "9.1 % the other 2 together;" in sentence(lr_and_others(3), found)
    sampled = outcome([[1.0, 1.0], [0.5, -0.1], [-0.4, 0.2]], [0.0, 0.0], sampling=0.3)
    assert sampled.together([1, 2])[1] == pytest.approx(0.3 * np.sqrt(2))
    assert "9 ± 39 % the other 2 together (within the noise);" in sentence(
        lr_and_others(3), sampled
    )


def test_a_largest_part_against_the_gap_is_a_sentence_too() -> None:
    found = outcome([[-1.04, -1.04], [0.5, 0.5]], [2.54, 2.54])
    assert "−52 % is optimizer.lr (against it), 25 % trainer.batch_size; " in sentence(
        lr_and_others(), found
    )


def test_the_frameworks_part_is_small_only_if_its_interval_is() -> None:
    question = replace(lr_and_others(1), b=compose([*SMALL, "backend=torch"]))
    steady, noisy, real = (
        sentence(question, outcome([[1.0, 1.0]], left))
        for left in ([1e-5, 2e-5], [-0.01, 0.011], [0.1, 0.101])
    )
    assert steady.endswith("account for less than 0.1 %.")
    assert noisy.endswith("account for 0 ± 13 %, which is within the noise.")
    assert real.endswith("account for 9.1 ± 0.6 %.")


def test_interplay_that_is_rounding_is_nothing() -> None:
    found = outcome([[1.0, 1.0], [0.5, 0.5]], [0.0, 0.0])
    assert "do not interplay" in interplay(found)
    half = replace(found, alone_a=found.alone_a + 1e-17, alone_b=found.alone_b - 0.1)
    assert "the rest, nothing and 0.2, is interplay" in interplay(half)


def test_the_caption_quotes_the_errors_of_the_table_that_is_shown() -> None:
    question = lr_and_others()
    question = replace(question, design=replace(question.design, orders=[[0, 1], [1, 0]]))
    noise = replace(outcome([[9.0, -9.0], [0.0, 0.0]], [0.0, 0.0], 0.7), name="first")
    real = replace(outcome([[1.0, 1.0], [0.5, 0.5]], [0.0, 0.0], 0.25), name="second")
    said = caption(question, Answer([noise, real], True, {}, 0.0))
    assert "of the largest part of second: ±0 and ±0.25" in said


def test_tables_have_shares_with_their_intervals_as_text_and_as_numbers() -> None:
    from harness.why import report

    question = lr_and_others()
    found = outcome([[0.9, 1.0], [0.05, -0.05]], [0.0, 0.0])
    shares = ["100 ± 67 %", "(0 ± 67 %)", "", "100 %"]
    assert report.shown(question, found)["share"].tolist() == shares
    bare = report.shown(question, found, errors=False)["share"].tolist()
    assert bare == ["100 %", "(0 %)", "", "100 %"]
    table = report.records(question, found)
    assert table["within_noise"].tolist() == [False, True, True, False]
    np.testing.assert_allclose(table["share_half"], table["half"] / found.gap)


@pytest.mark.parametrize("value", [0.1234567, 1e-8, 1e16, 30.0, 1 / 3])
def test_a_value_is_written_with_all_of_its_digits(value: float) -> None:
    assert compose([*SMALL, f"optimizer.lr={format_value(value)}"]).optimizer.lr == value


def test_values_that_differ_late_are_different() -> None:
    [player] = ask("b.optimizer.lr=0.010000001").players
    assert (player.a, player.b) == ("0.01", "0.010000001")
    with pytest.raises(ConfigError, match=r"fraction: 0\.1 on side a, 0\.10000001 on"):
        ask("a.task.val_fraction=0.1", "b.task.val_fraction=0.10000001")


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
    assert err.startswith(f"{tmp_path / 'config.yaml'}: is damaged (") and err.count("\n") == 1


def test_the_headline_has_layers() -> None:
    layered = ask("a.model.layers=2", "b.model.units=8")
    assert headline(layered) == "sum · rnn 2×4 / rnn 8 · A numpy as matched · B numpy as matched"


def test_the_picture_keeps_its_columns_apart_and_its_bars_wide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long labels on the left, long numbers on the right, a gap that is tiny beside the losses."""
    long = ("a.optimizer=rmsprop", "a.optimizer.lr=0.003", "a.optimizer.weight_decay=0.01")
    question = ask(*long, "b.trainer.batch_size=24")
    tiny = outcome([[-1.43e-6, -1.38e-6], [2e-7, -3e-7]], [0.0, 0.0])
    level = np.full(2, 12.5)
    made = drawn(question, replace(tiny, a=level, b=level + tiny.b), tmp_path, monkeypatch)
    [axis] = made.axes
    renderer = made.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in axis.texts if text.get_text()]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    plot = axis.get_window_extent(renderer)
    assert not any(box.overlaps(plot) for box in boxes)
    assert plot.width > 0.45 * made.bbox.width
    assert axis.xaxis.get_offset_text().get_text() == ""
    assert axis.texts[0].get_text() != axis.texts[3].get_text()


def drawn(question: Question, found: Outcome, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The figure of a waterfall."""
    kept = []
    monkeypatch.setattr(plot, "figure", lambda *a, **k: kept.append(figure(*a, **k)) or kept[0])
    plot.draw_waterfall(folder / "why.png", question, [found], "title")
    return kept[0][0]


def test_what_is_suggested_takes_the_place_of_what_it_overrules() -> None:
    words = ["replicas=3", "b.model.units=8", "+replicas=4", "trainer.epochs=2", "--"]
    nothing = Answer([outcome([], [1.0, -1.0])], False, {}, 0.0)
    said = follow_up(ask("b.model.units=8", "replicas=4"), nothing, words)
    assert said == ["b.model.units=8", "trainer.epochs=2", "replicas=8"]
    divided = Answer([outcome([[1.0, 1.0], [0.1, 0.1]], [0.0, 0.0])], True, {}, 0.0)
    words = ["b.optimizer.lr=0.001", "b.trainer.batch_size=24", "optimizer.lr=0.01"]
    assert follow_up(lr_and_others(), divided, words) == [*words[1:], "b.optimizer.lr=0.01"]


def test_the_only_difference_is_not_taken_away() -> None:
    divided = Answer([outcome([[1.0, 1.0]], [0.0, 0.0])], True, {}, 0.0)
    assert follow_up(lr_and_others(1), divided, ["b.optimizer.lr=0.001"]) == []
    between = replace(lr_and_others(1), b=compose([*SMALL, "backend=torch"]))
    assert follow_up(between, divided, ["x=1"]) == ["x=1", "b.optimizer.lr=0.01"]


# ------------------------------------------------------------------------------ the real program


def program(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_the_whole_command(tmp_path: Path) -> None:
    folder = with_database(tmp_path)
    words = [*SMALL, "tracking=mlflow", "replicas=4", "a.semantics=torch", "b.semantics=keras"]
    done = program(folder, "harness.why", *words, "b.optimizer.lr=0.0005", "--evaluations", "140")
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+ ± \d+ % is optimizer.lr", " ".join(done.stdout.split()))
    assert "sampled: " in done.stdout and "these differ, too, but play no part" in done.stdout
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
    assert facts["seeds"] == [0, 1, 2, 3] and facts["sentences"][0] in " ".join(
        (written / "report.md").read_text().split()
    )
    losses_of_a = facts["outcomes"][0]["losses"]["a"]
    np.testing.assert_allclose(
        losses_of_a, losses(compose([*SMALL, "replicas=4", "semantics=torch"]))[0]
    )
    assert (written / "why.png").read_bytes()[:4] == b"\x89PNG"
    assert "data:image/png;base64" in (written / "report.html").read_text()
    assert len(pd.read_csv(written / "coalitions.csv")) <= 140
    [run] = tracked(folder)
    assert run.info.status == "FINISHED" and run.data.tags["kind"] == "why"
    assert run.data.metrics["why/gap"] == pytest.approx(gap["part"])
    assert run.data.metrics["why/interplay_from_b"] == pytest.approx(left)
    assert run.data.metrics["why/share/optimizer.lr"] == pytest.approx(
        final.loc["optimizer.lr", "share"]
    )
    assert run.data.params["b.optimizer.lr"] == "0.0005" and run.data.params["model.units"] == "4"
    files = artifacts(folder, run.info.run_id)
    assert {"report.md", "report.html", "why.json", "why.csv", "why.png"} <= files


def test_two_tracked_runs(tmp_path: Path) -> None:
    """By directory and by name; they were trained with one seed and are trained with several."""
    folder = with_database(tmp_path)
    for words in (["optimizer.lr=0.01"], ["optimizer.lr=0.0001", "semantics=keras"]):
        done = program(folder, "harness", *SMALL, "tracking=mlflow", "replicas=1", *words)
        assert done.returncode == 0, done.stderr
    first, second = sorted((folder / "results/runs").iterdir())
    name = tracked(folder)[1].info.run_name
    a, b = why._sides(why._parse([str(first), name, "--results", str(folder / "results")]))
    assert (a.optimizer.lr, b.optimizer.lr, b.semantics.name) == (0.01, 0.0001, "keras")
    assert a.replicas == b.replicas == 16
    done = program(
        folder, "harness.why", str(first), str(second), "replicas=5", "tracking.name=journal"
    )
    assert done.returncode == 0, done.stderr
    out = " ".join(done.stdout.split())
    assert "Both runs are trained again" in out and "5 paired seeds (0…4)" in out
    assert re.search(r"100 ± \d+ % is optimizer.lr", out)
    done = program(folder, "harness.why", str(first), str(second), "b.task.length=5")
    assert done.returncode == 2 and "task.length: 4 on side a, 5 on side b" in done.stderr
    assert (
        why._sides(why._parse([str(first), str(second), "b.optimizer.lr=1"]))[1].optimizer.lr == 1
    )
    for wrong in ("b.optimizer.lr=0.1,0.2", "experiment=mine", "~b.trainer.clip", "b.model=gru"):
        with pytest.raises(ConfigError, match="already has every value"):
            why._sides(why._parse([str(first), str(second), wrong]))
    pointed = why._question(
        why._parse([str(first), str(second), "--uri", "sqlite:///x.db", "--results", "there"])
    )
    assert (pointed.a.tracking.uri, pointed.a.results) == ("sqlite:///x.db", "there")
    done = program(folder, "harness.why", str(first), name[:-1])
    assert done.returncode == 2 and "Did you mean" in done.stderr
