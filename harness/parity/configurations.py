"""Random configurations for `parity --fuzz`: settings of a run on random data.

The simplest choice of each value comes first, so that Hypothesis shrinks a failure to the settings
that it needs.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies
from hypothesis.strategies import DrawFn

from harness.core.semantics import RULES

NUMBERS = {
    "forget_bias": ["0.0", "1.0", "-1.0"],
    "adam_eps": ["1e-8", "1e-3"],
    "rmsprop_rho": ["0.9", "0.5"],
    "rmsprop_eps": ["1e-8", "1e-3"],
    "clip_eps": ["0.0", "1e-6", "0.1"],
}
Overrides = dict[str, str]


@dataclass(frozen=True)
class RandomConfig:
    """A drawn configuration."""

    overrides: Overrides  # such as {"model": "gru", "model.units": "3"}
    scatter: bool  # padding may be anywhere in a sequence, as with --scatter-padding

    @property
    def words(self) -> list[str]:
        """The overrides as on a command line: `KEY=VALUE`."""
        return [f"{key}={value}" for key, value in self.overrides.items()]


@strategies.composite
def configurations(draw: DrawFn) -> RandomConfig:
    """Draw a run on random data: a strategy of Hypothesis."""

    def pick(*values: object) -> str:
        return str(draw(strategies.sampled_from(values)))

    def whole(low: int, high: int) -> str:
        return str(draw(strategies.integers(low, high)))

    overrides = {"task": "gaussian", "model": pick("rnn", "lstm", "gru")}
    if overrides["model"] == "rnn":
        overrides["model.activation"] = pick("tanh", "relu")
    overrides |= {"model.layers": pick(1, 1, 2, 3), "model.units": whole(1, 6)}
    overrides |= {"model.head": pick("dense", "none"), "task.features": whole(1, 4)}
    no_head = overrides["model.head"] == "none"
    overrides["task.outputs"] = overrides["model.units"] if no_head else whole(1, 3)
    overrides |= {"task.targets": pick("last", "every_step"), "task.labels": pick("false", "true")}
    overrides["task.length"] = whole(1, 7)
    scatter = False
    if draw(strategies.booleans()):
        scatter = draw(strategies.booleans())
        shortest = whole(1, int(overrides["task.length"]))
        overrides["task.lengths"] = (
            f"{shortest}:{whole(int(shortest), int(overrides['task.length']))}"
        )
    overrides |= {"task.samples": whole(1, 8), "trainer.batch_size": whole(1, 8)}
    overrides |= {"replicas": pick(1, 1, 1, 2), "seed": whole(0, 10**6)}
    overrides |= _training(pick)
    return RandomConfig(overrides | _semantics(draw), scatter)


def _training(pick: Any) -> Overrides:
    overrides = {
        "optimizer": pick("sgd", "adam", "rmsprop"),
        "optimizer.lr": pick(0.01, 0.001, 0.1),
    }
    if overrides["optimizer"] == "sgd":
        overrides["optimizer.momentum"] = pick("0.0", "0.9")
        if overrides["optimizer.momentum"] != "0.0":
            overrides["optimizer.nesterov"] = pick("false", "true")
    overrides["optimizer.weight_decay"] = pick("0.0", "0.1")
    overrides["trainer.clip"] = pick("null", "1.0", "0.01")
    overrides["trainer.schedule"] = pick("constant", "cosine", "exponential")
    return overrides


def _semantics(draw: DrawFn) -> Overrides:
    """Draw a preset, and values of up to four rules on top of it."""
    preset = strategies.sampled_from(["matched", "keras", "torch", "jax"])
    overrides = {"semantics": draw(preset)}
    for name in draw(
        strategies.lists(strategies.sampled_from(list(RULES)), max_size=4, unique=True)
    ):
        accepted = RULES[name]["accepted"] or NUMBERS[name]
        overrides[f"semantics.{name}"] = draw(strategies.sampled_from(accepted))
    return overrides
