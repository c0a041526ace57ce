"""What `parity --fuzz` draws: a run's settings on random data.

Each drawn value has its simplest choice first, so that what is left of a failure, once Hypothesis
has shrunk it, is the little that it needs.
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
class Drawn:
    """`overrides` as `{"model": "gru", "model.units": "3", …}`, and whether padding stands anywhere
    in a sequence, as by `--scatter-padding`."""

    overrides: Overrides
    scatter: bool

    @property
    def words(self) -> list[str]:
        return [f"{key}={value}" for key, value in self.overrides.items()]


@strategies.composite
def configurations(draw: DrawFn) -> Drawn:
    """A run on random data."""

    def pick(*values: object) -> str:
        return str(draw(strategies.sampled_from(values)))

    def whole(low: int, high: int) -> str:
        return str(draw(strategies.integers(low, high)))

    found = {"task": "gaussian", "model": pick("rnn", "lstm", "gru")}
    if found["model"] == "rnn":
        found["model.activation"] = pick("tanh", "relu")
    found |= {"model.layers": pick(1, 1, 2, 3), "model.units": whole(1, 6)}
    found |= {"model.head": pick("dense", "none"), "task.features": whole(1, 4)}
    no_head = found["model.head"] == "none"
    found["task.outputs"] = found["model.units"] if no_head else whole(1, 3)
    found |= {"task.targets": pick("last", "every_step"), "task.labels": pick("false", "true")}
    found["task.length"] = whole(1, 7)
    scatter = False
    if draw(strategies.booleans()):
        scatter = draw(strategies.booleans())
        shortest = whole(1, int(found["task.length"]))
        found["task.lengths"] = f"{shortest}:{whole(int(shortest), int(found['task.length']))}"
    found |= {"task.samples": whole(1, 8), "trainer.batch_size": whole(1, 8)}
    found |= {"replicas": pick(1, 1, 1, 2), "seed": whole(0, 10**6)}
    found |= _training(pick)
    return Drawn(found | _semantics(draw), scatter)


def _training(pick: Any) -> Overrides:
    found = {"optimizer": pick("sgd", "adam", "rmsprop"), "optimizer.lr": pick(0.01, 0.001, 0.1)}
    if found["optimizer"] == "sgd":
        found["optimizer.momentum"] = pick("0.0", "0.9")
        if found["optimizer.momentum"] != "0.0":
            found["optimizer.nesterov"] = pick("false", "true")
    found["optimizer.weight_decay"] = pick("0.0", "0.1")
    found["trainer.clip"] = pick("null", "1.0", "0.01")
    found["trainer.schedule"] = pick("constant", "cosine", "exponential")
    return found


def _semantics(draw: DrawFn) -> Overrides:
    """A preset, and up to four single rules that differ from it."""
    preset = strategies.sampled_from(["matched", "keras", "torch", "jax"])
    found = {"semantics": draw(preset)}
    for name in draw(
        strategies.lists(strategies.sampled_from(list(RULES)), max_size=4, unique=True)
    ):
        accepted = RULES[name]["accepted"] or NUMBERS[name]
        found[f"semantics.{name}"] = draw(strategies.sampled_from(accepted))
    return found
