"""Which differences between two configurations count as players.

Decides for every rule of the semantics when it acts and when it cannot, by training both ways, and
which settings belong together.
"""

from dataclasses import fields, replace

import numpy as np
import pytest

from harness.config.compose import compose
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.semantics import Semantics
from harness.why import __main__ as why
from harness.why.answer import Answer
from harness.why.players import RULES, Case, Player, coalition, differences, format_value
from harness.why.retrain import losses
from harness.why.sentences import (
    caption,
)
from harness.why.shapley import MIN_PAIRS
from tests.support.why_questions import SMALL, ask, outcome

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
    assert [i.player.keys for i in idle] == [(key,)]
    assert not acting
    if key in TO_ROUNDING:
        np.testing.assert_allclose(losses(a), losses(b), rtol=1e-5)
    else:
        np.testing.assert_array_equal(losses(a), losses(b))


@pytest.mark.parametrize("key", CASES)
def test_a_field_that_acts_changes_something(key: str) -> None:
    a, b = both(key, CASES[key][3])
    acting, idle = differences(a, b, samples(a), gpu=False)
    assert [p.keys for p in acting] == [(key,)]
    assert not idle
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
    assert acts(Case(config, 40, gpu=True))
    assert not acts(Case(config, 40, gpu=False))


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
    said = caption(
        question,
        Answer(outcomes=[outcome([[1.0, 1.0]], [0.0, 0.0])], divided=True, values={}, seconds=0.0),
    )
    assert f"sampled: {2 * len(question.design.orders)} permutations in antithetic pairs, " in said
    assert f"{len(question.design.coalitions)} coalitions of " in said


def test_seeds_are_several_unless_they_are_chosen() -> None:
    assert compose([*SMALL, "replicas=1"]).replicas == 1
    words = [word for word in SMALL if not word.startswith("replicas")]
    assert why.read_question(why.parse_arguments(words)).a.replicas == 16


def test_what_does_not_train_is_no_difference() -> None:
    question = ask(
        *("a.trainer.checkpoint_every=1", "a.trainer.keep_checkpoints=null"),
        *("b.trainer.save_gradient=true", "b.trainer.deterministic=true"),
    )
    assert question.identical
    assert not question.idle


def test_device_and_threads_are_listed_and_another_device_settles_nothing() -> None:
    question = ask("a.threads=2")
    assert question.identical
    assert [i.player.name for i in question.idle] == ["threads"]
    question = ask("a.device=cpu", "b.device=auto", "b.threads=3")
    rows = [(i.player.name, i.player.a, i.player.b) for i in question.idle]
    assert rows == [("device", "cpu", "auto"), ("threads", "auto", "3")]
    assert "part of the frameworks" in question.idle[0].reason
    assert not question.identical
    assert question.same_framework  # NumPy has the CPU alone
    trains = compose(["backend=torch"]).backend
    on = replace(question, backend=trains, a=compose(["backend=torch", "device=cpu"]))
    assert not replace(on, b=compose(["backend=torch", "device=auto"])).same_framework
    assert replace(on, b=on.a).same_framework


def test_a_coalition_has_b_s_values_and_nothing_else() -> None:
    a, b = compose([*SMALL, "semantics=torch"]), compose([*SMALL, "semantics=keras"])
    chosen = [Player(("semantics.biases",), "", ""), Player(("semantics.adam_eps",), "", "")]
    made = coalition(a, b, chosen).semantics
    assert made == replace(a.semantics, biases="single", adam_eps=1e-7)


@pytest.mark.parametrize("value", [0.1234567, 1e-8, 1e16, 30.0, 1 / 3])
def test_a_value_is_written_with_all_of_its_digits(value: float) -> None:
    assert compose([*SMALL, f"optimizer.lr={format_value(value)}"]).optimizer.lr == value


def test_values_that_differ_late_are_different() -> None:
    [player] = ask("b.optimizer.lr=0.010000001").players
    assert (player.a, player.b) == ("0.01", "0.010000001")
    with pytest.raises(ConfigError, match=r"fraction: 0\.1 on side a, 0\.10000001 on"):
        ask("a.task.val_fraction=0.1", "b.task.val_fraction=0.10000001")
