"""Each preset of `conf/semantics/` against the framework that it is named after.

A plain program (`tests/support/plain_loops.py`) and the whole harness, composed by Hydra and run by
its trainer under the preset, start from the same weights and see the same batches; the harness must
log the same loss in every epoch, with every backend. Where Keras rounds a number to float32 even
if all else is float64 (β, μ, λ and schedules: `ops.cast` of a Python float makes a float32 tensor
first), the recipes use numbers that float32 holds exactly.
"""

from dataclasses import asdict, fields, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from backends import Array, Backend
from backends.numpy_backend import NumpyBackend
from harness.config.compose import compose
from harness.config.schema import Config
from harness.core.optimizers import Adam, Optimizer, RmsProp, Sgd
from harness.core.random_streams import batch_order, stream
from harness.core.semantics import Semantics
from harness.core.tolerances import LIMITS
from harness.tracking.journal import read
from harness.tracking.run_log import RunLog
from harness.training.plan import Plan, prepare
from harness.training.trainer import train
from tests.support.plain_loops import TRAIN_WITH, Recipe, Samples
from tests.support.problems import preset

N, BATCH, EPOCHS, STEPS = 22, 8, 3, 9  # batches of 8, 8 and 6
EXACT = (0.875, 1 - 2.0**-9)  # β₁, β₂ that float32 holds

SGD: dict[str, Any] = {"optimizer": "sgd", "lr": 2.0**-4, "momentum": 0.875}
ADAM: dict[str, Any] = {"optimizer": "adam", "lr": 2.0**-5, "betas": EXACT}
RMSPROP: dict[str, Any] = {"optimizer": "rmsprop", "lr": 2.0**-7}
RECIPES = {
    "rnn-momentum-halved": Recipe("rnn", **SGD, halved=True),
    "lstm-nesterov-clip": Recipe("lstm", "sgd", 0.5, 0.875, nesterov=True, clip=2.0**-4),
    "gru-nesterov-halved-decay": Recipe(
        "gru", **SGD, nesterov=True, halved=True, weight_decay=2.0**-3
    ),
    "rnn-adam-decay-clip": Recipe("rnn", **ADAM, weight_decay=2.0**-3, clip=2.0**-4),
    "lstm-adam": Recipe("lstm", **ADAM),
    "gru-adam-halved": Recipe("gru", **ADAM, halved=True),
    "rnn-rmsprop-clip": Recipe("rnn", **RMSPROP, clip=2.0**-4),
    "lstm-rmsprop-decay": Recipe("lstm", **RMSPROP, weight_decay=2.0**-3),
    "gru-rmsprop-halved": Recipe("gru", **RMSPROP, halved=True),
    "rnn-saturated": Recipe("rnn", **SGD, loss="bce"),
    "rnn-padded": Recipe("rnn", **SGD, padded=True),
    "lstm-padded-every-step": Recipe("lstm", **SGD, padded=True, every_step=True),
    "lstm-stacked-clip": Recipe("lstm", **ADAM, clip=2.0**-4, layers=2),
    "gru-stacked-padded": Recipe("gru", **SGD, padded=True, layers=2),
}
FRAMEWORKS = list(TRAIN_WITH)
# Keras and JAX compile for seconds, so these two train with two programs of each framework; that
# all backends agree under every rule is for test_agreement.py to show.
COMPILED = [
    ("keras", "lstm-nesterov-clip"),
    ("keras", "rnn-saturated"),
    ("torch", "rnn-adam-decay-clip"),
    ("torch", "lstm-padded-every-step"),
    ("jax", "rnn-rmsprop-clip"),
    ("jax", "gru-adam-halved"),
]
# Each rule with a recipe that notices it; β powers, TF32 and what only the start depends on apart.
SEEN_BY = {
    **dict.fromkeys(("adam_eps", "adam_eps_place", "biases"), "lstm-adam"),
    **dict.fromkeys(("epoch_loss", "last_batch"), "lstm-adam"),
    **dict.fromkeys(("gru_biases", "gru_reset"), "gru-adam-halved"),
    **dict.fromkeys(("rmsprop_rho", "rmsprop_eps", "rmsprop_eps_place"), "gru-rmsprop-halved"),
    **dict.fromkeys(("clip_scope", "clip_eps"), "lstm-nesterov-clip"),
    "momentum_lr": "rnn-momentum-halved",
    "weight_decay": "rnn-adam-decay-clip",
    "bce": "rnn-saturated",
}
NUMBERS = {
    "adam_eps": (1e-7, 1e-8),
    "rmsprop_rho": (0.9, 0.99),
    "rmsprop_eps": (1e-7, 1e-8),
    "clip_eps": (0.0, 1e-6),
}

each_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


# --------------------------------------------------------------------------------- the two programs


@cache
def composed(semantics: str) -> Config:
    """The preset with a small random problem: sizes that all differ."""
    task = [f"samples={N}", "length=5", "features=3", "outputs=2", "val_fraction=0"]
    overrides = ["device=cpu", *(f"task.{each}" for each in [*task, "test_fraction=0"])]
    overrides += [f"trainer.{each}" for each in [f"batch_size={BATCH}", f"epochs={EPOCHS}"]]
    return compose(["task=gaussian", f"semantics={semantics}", "model.units=6", *overrides])


def optimizer(recipe: Recipe) -> Optimizer:
    common = {"name": recipe.optimizer, "lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        return Sgd(momentum=recipe.momentum, nesterov=recipe.nesterov, **common)
    if recipe.optimizer == "adam":
        return Adam(beta1=recipe.betas[0], beta2=recipe.betas[1], **common)
    return RmsProp(rho=None, **common)


@cache
def plan(semantics: str, recipe: Recipe, precision: str, rules: tuple = ()) -> Plan:
    """The recipe as a user of the harness states it, with biases that are not zero."""
    base: Any = composed(semantics)
    schedule = "exponential" if recipe.halved else "constant"
    task = replace(
        base.task,
        targets="every_step" if recipe.every_step else "last",
        labels=recipe.loss == "bce",
        lengths="1:5" if recipe.padded else None,
    )
    result = prepare(
        replace(
            base,
            task=task,
            model=replace(base.model, cell=recipe.cell, layers=recipe.layers),
            optimizer=optimizer(recipe),
            trainer=replace(
                base.trainer, clip=recipe.clip, schedule=schedule, final_lr=0.5 ** (STEPS - 1)
            ),
            semantics=replace(base.semantics, **dict(rules)),
            precision=precision,
        )
    )
    for name, value in result.start.params.items():
        if name.endswith("bias"):
            value += 0.3 * stream(0, "presets", name).standard_normal(value.shape)
    if recipe.loss == "bce":
        result.start.params["head.kernel"] *= 80
    return result


@cache
def plain(framework: str, recipe: Recipe, precision: str) -> Array:
    """Each epoch's loss, from the plain program."""
    made = plan(framework, recipe, precision)
    weights = {name: value[0] for name, value in made.start.params.items()}
    drawn = made.splits.training_data()
    mask = None if drawn.mask is None else drawn.mask[0]
    orders = [batch_order([0], epoch, N, shuffle=True)[0] for epoch in range(1, EPOCHS + 1)]
    samples = Samples(drawn.x[0], drawn.y[0], np.stack(orders), BATCH, mask)
    return TRAIN_WITH[framework](recipe, weights, samples)


def harness(backend: type[Backend], p: Plan) -> Array:
    """Each epoch's `train/loss`, from the harness' journal."""
    with TemporaryDirectory() as folder:
        with RunLog(Path(folder), None) as record:
            train(partial(p.build, backend), p.start, p.splits, p.schedule, p.config, record)
        events = list(read(Path(folder)))
    return np.array([e["values"]["train/loss"][0] for e in events if "step" in e])


def gap(
    backend: type[Backend],
    framework: str,
    recipe: Recipe,
    precision: str = "float64",
    rules: tuple = (),
) -> float:
    """The largest relative difference between the two curves; `rules` replace the preset's."""
    expected = plain(framework, recipe, precision)
    actual = harness(backend, plan(framework, recipe, precision, rules))
    assert actual.shape == expected.shape == (EPOCHS,)
    return float((np.abs(actual - expected) / expected).max())


def of(framework: str, name: str) -> Recipe:
    """The recipe of that name. In optax only adamw has weight decay as an option."""
    recipe = RECIPES[name]
    own = framework == "jax" and recipe.optimizer != "adam"
    return replace(recipe, weight_decay=0.0) if own else recipe


# -------------------------------------------------------------------------------- the same losses


@pytest.mark.parametrize("name", RECIPES)
@each_framework
@pytest.mark.parametrize("backend", ["numpy", "torch"], indirect=True)
def test_trains_as_the_framework(backend: type[Backend], framework: str, name: str) -> None:
    # Worst of all four backends with all recipes: 4.2e-16. Saturated logits: 8.5e-12 under Keras,
    # 2.0e-15 under PyTorch, 4.9e-14 under JAX, since the head's large weights multiply rounding.
    assert gap(backend, framework, of(framework, name)) <= LIMITS["float64"].losses


@pytest.mark.parametrize(("framework", "name"), COMPILED)
@pytest.mark.parametrize("backend", ["keras", "jax"], indirect=True)
def test_compiled_trains_as_the_framework(
    backend: type[Backend], framework: str, name: str
) -> None:
    assert gap(backend, framework, of(framework, name)) <= LIMITS["float64"].losses


@each_framework
def test_float32(framework: str) -> None:
    recipe = Recipe("lstm", "adam", 2.0**-5)  # β₁ and β₂ as the frameworks have them
    assert gap(NumpyBackend, framework, recipe, "float32") <= LIMITS["float32"].losses


def test_keras_rounds_beta_in_float64_too() -> None:
    """β₂ off by 2⁻²⁵ at most changes 1 − β₂ᵗ by 2⁻²⁵ / (1 − β₂), and a step by half of that."""
    found = gap(NumpyBackend, "keras", Recipe("lstm", "adam", 2.0**-5))
    assert LIMITS["float64"].losses < found <= 2.0**-25 / (1 - 0.999) / 2


def test_logits_are_saturated_and_often_on_the_wrong_side() -> None:
    made = plan("keras", RECIPES["rnn-saturated"], "float64")
    data = made.splits.training_data()
    z = NumpyBackend(made.model, made.training, data, made.start).predict(data.x)
    wrong = np.where(data.y > 0.5, -z, z)
    assert (wrong > 30).any(), "where 1 − σ(z) is below 1e-13, and Keras' clipping would act"


# ---------------------------------------------------------------------------- and how this can fail


@pytest.mark.parametrize("rule", SEEN_BY)
@each_framework
def test_each_rule_is_seen(framework: str, rule: str) -> None:
    """With one rule of the preset replaced, the curves part by far more than the limit."""
    accepted = {f.name: f.metadata.get("accepted") for f in fields(Semantics)}[rule]
    others = [v for v in accepted or NUMBERS[rule] if v != getattr(preset(framework), rule)]
    for other in others:
        found = gap(NumpyBackend, framework, of(framework, SEEN_BY[rule]), rules=((rule, other),))
        assert found > 20 * LIMITS["float64"].losses, other


@each_framework
def test_matched_is_seen_to_be_another_preset(framework: str) -> None:
    matched = asdict(preset("matched"))
    start = {"name", "biases", "gru_biases", "forget_bias", *(k for k in matched if "init" in k)}
    rules = tuple((rule, value) for rule, value in matched.items() if rule not in start)
    found = gap(NumpyBackend, framework, of(framework, "rnn-rmsprop-clip"), rules=rules)
    assert found > 1e5 * LIMITS["float64"].losses
