"""Check random configurations by `parity`, and shrink the first that fails.

Hypothesis draws and shrinks. A trial may take seconds where frameworks compile, so shrinking ends
after `SHRINK_SECONDS` with the smallest failure by then.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.errors import Flaky, Unsatisfiable
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from backends import BackendFactory
from harness.config.compose import Compose, composing
from harness.config.overrides import key_of
from harness.console.command_line import option, python
from harness.console.progress import Count
from harness.console.terminal import say
from harness.core.difference import Difference
from harness.core.errors import ConfigError
from harness.parity.configurations import RandomConfig, configurations
from harness.parity.lockstep import BackendFailed, Names, Parity, check
from harness.parity.problem import (
    Problem,
    configs,
    load_classes,
    problem_of,
    with_scattered_padding,
)
from harness.parity.stages import STAGES
from harness.system.compiled_programs import free_if_many

EPOCHS, STEPS = 3, 24
FIXED = ("task.val_fraction=0", "task.test_fraction=0", f"trainer.epochs={EPOCHS}")
SHRINK_SECONDS = 120.0
HOPELESS = 50  # refused configurations after which the search ends, if none could be compared


@dataclass(kw_only=True)
class Tally:
    """The results so far: the worst agreement of each stage, and the last failure."""

    worst: dict[str, Difference] = field(default_factory=dict)
    judged: int = 0  # configurations that were compared
    partly: int = 0  # of these, those with a stage for which the control band was too wide
    diverged: int = 0  # not compared: no backend's loss stays finite
    refused: str = ""  # the reason why the last refused configuration was not compared
    refusals: int = 0  # before the first configuration that was compared
    failure: str = ""  # where two backends differ, or how one broke
    failed: list[RandomConfig] = field(default_factory=list)  # the last is the smallest
    pair: Names | None = None  # the two backends that differ; shrinking compares only these
    broke: bool = False  # a backend raised an exception
    flaky: bool = False  # the smallest failure does not always fail
    began: float = 0.0  # the time at which shrinking began, by time.monotonic
    cut_short: bool = False  # shrinking ran out of time

    def note(self, parity: Parity, drawn: RandomConfig) -> None:
        """Count a configuration that was compared, with its result."""
        self.judged += 1
        if parity.first is not None:
            self.fail(parity.first.sentence(), drawn, parity.first_pair, broke=False)
            return
        self.partly += bool(parity.not_judged)
        for (stage, _), difference in parity.differences.items():
            if difference.judged and (
                stage not in self.worst or difference.error > self.worst[stage].error
            ):
                self.worst[stage] = difference

    def fail(self, failure: str, drawn: RandomConfig, pair: Names | None, broke: bool) -> None:
        """Note a failure; shrinking begins with the first."""
        if not self.failed:
            self.began = time.monotonic()
        self.failure, self.pair, self.broke = failure, pair, broke
        self.failed.append(drawn)

    def refuse(self, reason: str) -> NoReturn:
        """Leave a configuration out: raise Hypothesis's exception for it."""
        self.refused = reason
        self.refusals += not self.judged
        hypothesis.reject()

    def over(self, drawn: RandomConfig) -> bool:
        """Return whether it is too late to try `drawn`; earlier failures are always tried again."""
        if self.refusals >= HOPELESS and not self.judged:
            return True
        late = bool(self.failed) and time.monotonic() - self.began > SHRINK_SECONDS
        self.cut_short = self.cut_short or late
        return late and drawn not in self.failed


def fuzz(
    count: int,
    seed: int,
    names: list[str],
    overrides: list[str],
    config_dir: Path | None,
    screen: Console,
) -> int:
    """Try `count` random configurations, print the result, and return the exit code.

    The `overrides` hold in all configurations. `config_dir` is the folder of the user's own
    options. Raises `ConfigError` if no configuration could be compared.
    """
    _refuse_tasks(overrides)
    tally = Tally()
    with composing(config_dir) as compose, Count(count, "random configurations") as progress:
        classes = load_classes(names, configs(names, ["task=gaussian", *overrides], compose))

        def attempt(drawn: RandomConfig) -> None:
            failing = bool(tally.failed)
            _attempt(drawn, overrides, compose, classes, tally)
            if not failing:
                progress.update()

        _search(attempt, count, seed, tally)
    if not tally.judged:
        raise ConfigError(f"none of the configurations could be compared: {tally.refused}")
    if tally.failure:
        _print_failure(tally, names, overrides, config_dir, screen)
        return 1
    _print_agreement(tally, names, screen)
    return 0


def _refuse_tasks(overrides: list[str]) -> None:
    """Raise `ConfigError` for another task: only `gaussian` has the settings that are drawn."""
    for word in overrides:
        key, value = key_of(word), word.partition("=")[2]
        if key in ("task", "experiment") and value not in ("gaussian", "null"):
            raise ConfigError(
                f"{word}: random configurations have a task of their own, gaussian; leave it out."
            )


def _attempt(
    drawn: RandomConfig,
    overrides: list[str],
    compose: Compose,
    classes: dict[str, BackendFactory],
    tally: Tally,
) -> None:
    """Compare the backends; raise `AssertionError` if they differ or one raises an exception."""
    if tally.over(drawn):
        hypothesis.reject()
    chosen = classes if tally.pair is None else {name: classes[name] for name in tally.pair}
    try:
        problem = _problem(drawn, next(iter(chosen)), overrides, compose)
    except ConfigError as error:  # the drawn settings do not go with the given ones
        tally.refuse(str(error))
    try:
        parity = check(problem, chosen)
    except ConfigError as error:  # its losses do not stay finite
        tally.diverged += not tally.failed
        tally.refuse(str(error))
    except BackendFailed as error:  # a failure, too
        partner = next(name for name in chosen if name != error.backend)
        tally.judged += 1
        tally.fail(str(error), drawn, (partner, error.backend), broke=True)
        raise AssertionError from error
    finally:
        free_if_many()  # the next configuration cannot use what this one has compiled
    tally.note(parity, drawn)
    if not parity.agrees:  # no `assert`, which PYTHONOPTIMIZE leaves out
        raise AssertionError


def _problem(drawn: RandomConfig, name: str, overrides: list[str], compose: Compose) -> Problem:
    [config] = configs([name], [*drawn.words, *FIXED, *overrides], compose)
    problem = problem_of(config, STEPS)
    return with_scattered_padding(problem) if drawn.scatter else problem


def _search(attempt: Callable[[RandomConfig], None], count: int, seed: int, tally: Tally) -> None:
    """Let Hypothesis run `attempt` on `count` examples, and shrink the first that fails."""
    test = hypothesis.given(configurations())(attempt)
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
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
    )(hypothesis.seed(seed)(test))
    try:
        test()
    except (AssertionError, Unsatisfiable):  # recorded in the tally
        pass
    except Flaky:
        tally.flaky = True


def _print_agreement(tally: Tally, names: list[str], screen: Console) -> None:
    table = Table("stage", "largest relative error", "ulp", "limit")
    for stage in STAGES:
        worst = tally.worst.get(stage)
        if worst is None:
            table.add_row(stage, "not judged", "", "")
            continue
        limit = f"{worst.limit:.0e}" if worst.limit else "exact"
        table.add_row(stage, f"{worst.error:.1e}", f"{worst.ulps:.3g}", limit)
    screen.print(table)
    screen.print(f"  [bold]{', '.join(names)} agree[/bold] in {tally.judged} configurations.")
    if tally.partly:
        part = f"in {tally.partly} of them not every stage was judged"
        screen.print(f"  {part}: the control band is too wide")
    if tally.diverged:
        screen.print(f"  {tally.diverged} more were not compared: no backend's loss stays finite")


def _print_failure(
    tally: Tally, names: list[str], overrides: list[str], config_dir: Path | None, screen: Console
) -> None:
    smallest, pair = tally.failed[-1], tally.pair or (names[0], names[1])
    words = [*smallest.words, *FIXED, *overrides]
    words += [f"backends=[{','.join(pair)}]", "--steps", str(STEPS)]
    words += ["--scatter-padding"] if smallest.scatter else []
    words += [] if config_dir is None else option("--config-dir", str(config_dir))
    often = ", but not each time" if tally.flaky else ""
    verdict = f"{pair[1]} broke" if tally.broke else f"{pair[0]} and {pair[1]} differ"
    failure = tally.failure.removeprefix(f"{pair[1]} broke: ")
    screen.print(f"\n  [bold red]{verdict}{often}[/bold red]: {escape(failure)}", soft_wrap=True)
    if tally.cut_short:
        seconds = f"{SHRINK_SECONDS:.0f} s"
        screen.print(f"  shrinking was cut short after {seconds}: a smaller one may fail as well")
    tried = f"smallest configuration found, of {tally.judged} tried"
    screen.print(f"  {tried}; repeat it with\n")
    say(f"    {python('harness.parity', words)}", screen)
