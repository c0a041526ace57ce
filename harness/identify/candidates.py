"""Candidates: rules under which a training may have been done, and their changes.

A candidate has a value for each setting, by the word that sets it on a command line; only `loss` is
the task's. Every value of a rule is tried, and of a number those that programs have.
"""

from collections.abc import Iterator
from typing import Any

from harness.core.losses import LOSSES
from harness.core.semantics import RULES
from harness.identify.case import Case

Rules = dict[str, Any]

DECAY = (0.0, 1e-6, 1e-5, 1e-4, 5e-4, 1e-3, 4e-3, 0.01, 0.02, 0.05, 0.1)
EPSILON = (1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
LIMITS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
NUMBERS: dict[str, tuple[float | None, ...]] = {
    "optimizer.momentum": (0.0, 0.5, 0.8, 0.9, 0.95, 0.99),
    "optimizer.beta1": (0.0, 0.5, 0.8, 0.9, 0.95, 0.99),
    "optimizer.beta2": (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999),
    "optimizer.weight_decay": DECAY,
    "trainer.clip": (None, *LIMITS),
    "semantics.adam_eps": EPSILON,
    "semantics.rmsprop_rho": (0.8, 0.9, 0.95, 0.99, 0.999),
    "semantics.rmsprop_eps": EPSILON,
    "semantics.clip_eps": (0.0, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3),
}
IN_TRAINING = (
    *("biases", "gru_biases", "gru_reset", "adam_eps", "adam_eps_place", "beta_powers"),
    *("momentum_lr", "rmsprop_rho", "rmsprop_eps", "rmsprop_eps_place", "weight_decay"),
    *("clip_scope", "clip_eps", "bce"),
)
WORDS: dict[str, tuple[Any, ...]] = {
    "model.activation": ("tanh", "relu"),
    "model.returns": ("last", "every_step"),
    "loss": LOSSES,
    "optimizer": ("adam", "sgd", "rmsprop"),
    "optimizer.nesterov": (False, True),
} | {f"semantics.{n}": r["accepted"] for n, r in RULES.items() if n in IN_TRAINING}
VALUES: dict[str, tuple[Any, ...]] = WORDS | NUMBERS
DEFAULTS: Rules = {
    "model.activation": "tanh",
    "model.returns": "last",
    "loss": "mse",
    "optimizer": "adam",
    "optimizer.momentum": 0.0,
    "optimizer.nesterov": False,
    "optimizer.beta1": 0.9,
    "optimizer.beta2": 0.999,
    "optimizer.weight_decay": 0.0,
    "trainer.clip": None,
}
# What the first loss shows, which comes before any update.
FORM = ("model.activation", "model.returns", "semantics.gru_reset", "loss", "semantics.bce")


def idle(key: str, rules: Rules, case: Case) -> str:
    """Return why a setting cannot act in this training, or an empty string if it can."""
    name = key.rpartition(".")[2]
    if (optimizer := _optimizer_of(name)) and rules["optimizer"] != optimizer:
        return f"the optimiser is {rules['optimizer']}"
    if name in ("nesterov", "momentum_lr") and not rules["optimizer.momentum"]:
        return "there is no momentum"
    if key == "semantics.weight_decay" and not rules["optimizer.weight_decay"]:
        return "there is no weight decay"
    if name in ("clip_scope", "clip_eps") and rules["trainer.clip"] is None:
        return "gradients are not clipped"
    if name == "clip_eps" and rules["semantics.clip_scope"] == "value":
        return "no norm is taken"
    if key == "semantics.bce" and rules["loss"] != "bce":
        return f"the loss is {rules['loss']}"
    if key == "model.activation" and case.model.cell != "rnn":
        return f"the cell is {case.model.cell}, which has tanh alone"
    cell = case.model.cell
    if name.startswith("gru") != (cell == "gru") and name in ("biases", "gru_biases", "gru_reset"):
        return f"the cell is {cell}"
    return ""


def _optimizer_of(name: str) -> str:
    if name.startswith(("adam", "beta")):
        return "adam"
    if name in ("momentum", "nesterov", "momentum_lr"):
        return "sgd"
    return "rmsprop" if name.startswith("rmsprop") else ""


def possible(rules: Rules, case: Case) -> bool:
    """Whether the recorded weights, targets and numbers can be those of such a training."""
    if rules["model.returns"] not in case.targets:
        return False
    if rules["loss"] == "bce":
        y = case.targets[rules["model.returns"]]
        if y.min() < 0 or y.max() > 1:
            return False
    biases = "gru_biases" if case.model.cell == "gru" else "biases"
    model = case.model_of(
        rules["model.activation"],
        rules["model.returns"],
        rules[f"semantics.{biases}"],
        rules["semantics.gru_reset"],
    )
    return case.params_of(model) is not None


def changes(rules: Rules, case: Case) -> Iterator[tuple[str, Rules]]:
    """Yield each candidate that differs in one setting, and the setting's key."""
    for key, values in VALUES.items():
        if idle(key, rules, case):
            continue
        for value in values:
            changed = rules | {key: value}
            if value != rules[key] and possible(changed, case):
                yield key, changed
