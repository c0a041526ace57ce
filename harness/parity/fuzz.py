"""Random configurations through `parity`, and the smallest one that fails.

Hypothesis draws and shrinks. A trial may take seconds, where frameworks compile, so shrinking ends
after `SHRINK_SECONDS` with what it has by then.
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

from harness.config.compose import Compose, composing
from harness.config.overrides import key_of
from harness.console.command_line import option, python
from harness.console.progress import Count
from harness.console.terminal import say
from harness.core.errors import ConfigError
from harness.parity.configurations import Drawn, configurations
from harness.parity.difference import Difference
from harness.parity.lockstep import BackendFailed, Names, Parity, check
from harness.parity.problem import BackendClass, Problem, configs, load, problem_of, scattered
from harness.parity.stages import STAGES
from harness.system.compiled_programs import free

EPOCHS, STEPS = 3, 24
FIXED = ("task.val_fraction=0", "task.test_fraction=0", f"trainer.epochs={EPOCHS}")
SHRINK_SECONDS = 120.0
HOPELESS = 50  # configurations of which none could be compared


@dataclass
class Tally:
    """What has been seen so far: the worst agreement of each stage, and the last failure."""

    worst: dict[str, Difference] = field(default_factory=dict)
    judged: int = 0  # configurations that were compared
    partly: int = 0  # of these, where the control band was too wide for a stage
    diverged: int = 0  # not compared: no backend's loss stays finite
    refused: str = ""  # why the last of those was not compared that were not
    refusals: int = 0  # in a row, from the first configuration on
    failure: str = ""  # where two backends differ, or how one broke
    failed: list[Drawn] = field(default_factory=list)  # the last is the smallest
    pair: Names | None = None  # which two backends differ: only they are shrunk
    broke: bool = False
    flaky: bool = False  # the smallest failure does not always fail
    began: float = 0.0  # when shrinking did
    cut_short: bool = False

    def note(self, parity: Parity, drawn: Drawn) -> None:
        self.judged += 1
        if parity.first is not None:
            self.fail(parity.first.sentence(), drawn, parity.first_pair, broke=False)
            return
        self.partly += bool(parity.not_judged)
        for (stage, _), found in parity.differences.items():
            if found.judged and (stage not in self.worst or found.error > self.worst[stage].error):
                self.worst[stage] = found

    def fail(self, failure: str, drawn: Drawn, pair: Names | None, broke: bool) -> None:
        if not self.failed:
            self.began = time.monotonic()
        self.failure, self.pair, self.broke = failure, pair, broke
        self.failed.append(drawn)

    def refuse(self, reason: str) -> NoReturn:
        """Leave a configuration out."""
        self.refused = reason
        self.refusals += not self.judged
        hypothesis.reject()

    def over(self, drawn: Drawn) -> bool:
        """Whether it is too late to try `drawn`; what failed before is always tried again."""
        if self.refusals >= HOPELESS and not self.judged:
            return True
        late = bool(self.failed) and time.monotonic() - self.began > SHRINK_SECONDS
        self.cut_short = self.cut_short or late
        return late and drawn not in self.failed


def fuzz(
    count: int, seed: int, names: list[str], given: list[str], own: Path | None, screen: Console
) -> int:
    """Try `count` random configurations; the overrides `given` hold in all of them. The exit code.

    `own` is the folder of the user's own options.
    """
    _refuse_tasks(given)
    tally = Tally()
    with composing(own) as compose, Count(count, "random configurations") as progress:
        classes = load(names, configs(names, ["task=gaussian", *given], compose))

        def attempt(drawn: Drawn) -> None:
            failing = bool(tally.failed)
            _attempt(drawn, given, compose, classes, tally)
            if not failing:
                progress.update()

        _search(attempt, count, seed, tally)
    if not tally.judged:
        raise ConfigError(f"none of the configurations could be compared: {tally.refused}")
    if tally.failure:
        _tell_failure(tally, names, given, own, screen)
        return 1
    _tell_agreement(tally, names, screen)
    return 0


def _refuse_tasks(given: list[str]) -> None:
    """What is drawn are settings of random data, which no other task has."""
    for word in given:
        key, value = key_of(word), word.partition("=")[2]
        if key in ("task", "experiment") and value not in ("gaussian", "null"):
            raise ConfigError(
                f"{word}: random configurations have a task of their own, gaussian; leave it out."
            )


def _attempt(
    drawn: Drawn,
    given: list[str],
    compose: Compose,
    classes: dict[str, BackendClass],
    tally: Tally,
) -> None:
    """Raises `AssertionError` where the backends differ or one breaks."""
    if tally.over(drawn):
        hypothesis.reject()
    chosen = classes if tally.pair is None else {name: classes[name] for name in tally.pair}
    try:
        problem = _problem(drawn, next(iter(chosen)), given, compose)
    except ConfigError as error:  # what was drawn does not go with what was given
        tally.refuse(str(error))
    try:
        parity = check(problem, chosen)
    except ConfigError as error:  # its losses do not stay finite
        tally.diverged += not tally.failed
        tally.refuse(str(error))
    except BackendFailed as error:  # a finding too
        other = next(name for name in chosen if name != error.backend)
        tally.judged += 1
        tally.fail(str(error), drawn, (other, error.backend), broke=True)
        raise AssertionError from error
    finally:
        free()  # programs that are of no use to the next configuration
    tally.note(parity, drawn)
    if not parity.agrees:  # no `assert`, which PYTHONOPTIMIZE leaves out
        raise AssertionError


def _problem(drawn: Drawn, name: str, given: list[str], compose: Compose) -> Problem:
    [config] = configs([name], [*drawn.words, *FIXED, *given], compose)
    problem = problem_of(config, STEPS)
    return scattered(problem) if drawn.scatter else problem


def _search(attempt: Callable[[Drawn], None], count: int, seed: int, tally: Tally) -> None:
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
    except (AssertionError, Unsatisfiable):  # the tally has it
        pass
    except Flaky:
        tally.flaky = True


def _tell_agreement(tally: Tally, names: list[str], screen: Console) -> None:
    table = Table("stage", "largest relative error", "ulp", "limit")
    for stage in STAGES:
        found = tally.worst.get(stage)
        if found is None:
            table.add_row(stage, "not judged", "", "")
            continue
        limit = f"{found.limit:.0e}" if found.limit else "exact"
        table.add_row(stage, f"{found.error:.1e}", f"{found.ulps:.3g}", limit)
    screen.print(table)
    screen.print(f"  [bold]{', '.join(names)} agree[/bold] in {tally.judged} configurations.")
    if tally.partly:
        part = f"in {tally.partly} of them not every stage was judged"
        screen.print(f"  {part}: the control band is too wide")
    if tally.diverged:
        screen.print(f"  {tally.diverged} more were not compared: no backend's loss stays finite")


def _tell_failure(
    tally: Tally, names: list[str], given: list[str], own: Path | None, screen: Console
) -> None:
    smallest, pair = tally.failed[-1], tally.pair or (names[0], names[1])
    again = [*smallest.words, *FIXED, *given]
    again += [f"backends=[{','.join(pair)}]", "--steps", str(STEPS)]
    again += ["--scatter-padding"] if smallest.scatter else []
    again += [] if own is None else option("--config-dir", str(own))
    often = ", but not each time" if tally.flaky else ""
    who = f"{pair[1]} broke" if tally.broke else f"{pair[0]} and {pair[1]} differ"
    failure = tally.failure.removeprefix(f"{pair[1]} broke: ")
    screen.print(f"\n  [bold red]{who}{often}[/bold red]: {escape(failure)}", soft_wrap=True)
    if tally.cut_short:
        seconds = f"{SHRINK_SECONDS:.0f} s"
        screen.print(f"  shrinking was cut short after {seconds}: a smaller one may fail as well")
    found = f"smallest configuration found, of {tally.judged} tried"
    screen.print(f"  {found}; repeat it with\n")
    say(f"    {python('harness.parity', again)}", screen)
