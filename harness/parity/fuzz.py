"""Random configurations through `parity`, and the smallest one that fails.

Hypothesis draws and shrinks; each drawn value has its simplest choice first, so that what is left
of a failure is the little that it needs.
"""

import contextlib
import gc
import shlex
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings, strategies
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import DrawFn, SearchStrategy
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.errors import ConfigError, first_line
from harness.parity.difference import Difference
from harness.parity.lockstep import Names, Parity, check
from harness.parity.problem import BackendClass, configs, load, problem_of
from harness.parity.stages import STAGES
from harness.progress import Count
from harness.semantics import RULES

EPOCHS, STEPS = 3, 24
NUMBERS = {
    "forget_bias": ["0.0", "1.0", "-1.0"],
    "adam_eps": ["1e-8", "1e-3"],
    "rmsprop_rho": ["0.9", "0.5"],
    "rmsprop_eps": ["1e-8", "1e-3"],
    "clip_eps": ["0.0", "1e-6", "0.1"],
}
Overrides = dict[str, str]


@strategies.composite
def configurations(draw: DrawFn) -> Overrides:
    """Overrides of a run on random data: `{"model": "gru", "model.units": "3", …}`."""

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
    if draw(strategies.booleans()):
        shortest = whole(1, int(found["task.length"]))
        found["task.lengths"] = f"{shortest}:{whole(int(shortest), int(found['task.length']))}"
    found |= {"task.samples": whole(1, 8), "trainer.batch_size": whole(1, 8)}
    found |= {"replicas": pick(1, 1, 1, 2), "seed": whole(0, 10**6)}
    found |= _training(draw, pick)
    return found | _semantics(draw)


def _training(draw: DrawFn, pick: Any) -> Overrides:
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


@dataclass
class Tally:
    """What has been seen so far: the worst agreement of each stage, and the last failure."""

    worst: dict[str, Difference] = field(default_factory=dict)
    tried: int = 0
    refused: str = ""  # the last configuration that could not be run
    failure: str = ""  # where two backends differ, or how one broke
    smallest: Overrides = field(default_factory=dict)
    pair: Names | None = None  # which two backends differ: only they are shrunk
    broke: bool = False

    def note(self, parity: Parity, overrides: Overrides) -> None:
        if parity.first is not None:
            self.failure, self.smallest = parity.first.sentence(), overrides
            self.pair, self.broke = parity.first_pair, False
            return
        for (stage, _), found in parity.differences.items():
            if stage not in self.worst or found.error > self.worst[stage].error:
                self.worst[stage] = found


def words(overrides: Overrides) -> list[str]:
    return [f"{key}={value}" for key, value in overrides.items()]


def fuzz(
    count: int, seed: int, names: list[str], given: list[str], own: Path | None, screen: Console
) -> int:
    """Try `count` random configurations; the overrides `given` hold in all of them. The exit code.

    `own` is the folder of the user's own options.
    """
    tally, classes = Tally(), load(names, configs(names, ["task=gaussian", *given], own))
    with Count(count, "random configurations") as progress:

        def attempt(overrides: Overrides) -> None:
            _attempt(overrides, given, own, classes, tally)
            progress.update()

        _search(attempt, configurations(), count, seed)
    if not tally.tried:
        raise ConfigError(f"none of the configurations could be run, such as: {tally.refused}")
    return _tell(tally, names, given, own, screen)


def _attempt(
    overrides: Overrides,
    given: list[str],
    own: Path | None,
    classes: dict[str, BackendClass],
    tally: Tally,
) -> None:
    """Raises `AssertionError` where the backends differ."""
    chosen = classes if tally.pair is None else {name: classes[name] for name in tally.pair}
    try:
        config = configs(list(chosen), [*words(overrides), *FIXED, *given], own)[0]
        problem = problem_of(config, STEPS)
    except ConfigError as error:  # what was drawn does not go with what was given
        tally.refused = str(error)
        hypothesis.reject()
    tally.tried += 1
    try:
        parity = check(problem, chosen)
    except ConfigError:  # its losses do not stay finite
        hypothesis.reject()
    except Exception as error:  # a backend that breaks is a finding too
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {first_line(error)}"
        tally.failure = f"{reason} ({Path(where.filename).name}, line {where.lineno})"
        tally.smallest, tally.broke = overrides, True
        raise AssertionError from error
    tally.note(parity, overrides)
    _forget_programs()
    assert parity.agrees


FIXED = ("task.val_fraction=0", "task.test_fraction=0", f"trainer.epochs={EPOCHS}")


def _search(attempt: Any, strategy: SearchStrategy, count: int, seed: int) -> None:
    """Let Hypothesis run `attempt` on `count` examples, and shrink the first that fails."""
    test = hypothesis.given(strategy)(attempt)
    test = settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(
            HealthCheck.too_slow,
            HealthCheck.large_base_example,
            HealthCheck.filter_too_much,
        ),
        print_blob=False,
        report_multiple_bugs=False,
    )(hypothesis.seed(seed)(test))
    with contextlib.suppress(AssertionError, Unsatisfiable):  # the tally has it
        test()


def _forget_programs() -> None:
    """Compiled programs of a configuration are of no use to the next one."""
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    gc.collect()


def _tell(
    tally: Tally, names: list[str], given: list[str], own: Path | None, screen: Console
) -> int:
    if not tally.failure:
        table = Table("stage", "largest relative error", "ulp", "limit")
        for stage in STAGES:
            found = tally.worst[stage]
            table.add_row(stage, f"{found.error:.1e}", f"{found.ulps:.3g}", f"{found.limit:.0e}")
        screen.print(table)
        screen.print(f"  [bold]{', '.join(names)} agree[/bold] in {tally.tried} configurations.")
        return 0
    pair = tally.pair or tuple(names)
    again = ["python", "-m", "harness.parity", *words(tally.smallest), *FIXED, *given]
    again += [f"backends=[{','.join(pair)}]", "--steps", str(STEPS)]
    again += [] if own is None else ["--config-dir", str(own)]
    who = "a backend broke" if tally.broke else f"{pair[0]} and {pair[1]} differ"
    screen.print(f"\n  [bold red]{who}[/bold red]: {escape(tally.failure)}", soft_wrap=True)
    screen.print(f"  smallest configuration found, of {tally.tried} tried; repeat it with\n")
    screen.print(f"    {shlex.join(again)}", soft_wrap=True, highlight=False, markup=False)
    return 1
