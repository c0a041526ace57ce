"""`python -m harness.why`: which settings make two trainings of the same network end differently.

Every setting in which the sides differ is a player of a game whose value is the loss: A's
configuration with some settings switched to B's is trained, over paired seeds, for all or many such
choices, and Shapley values share the gap out. All of these are trained in one backend, which obeys
every rule; A and B are also trained in their own, and what is left then is the frameworks'.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.config.compose import compose
from harness.config.schema import BackendConfig, Config
from harness.config.tracking_store import check_uri, source_of
from harness.console import streams
from harness.console.arguments import Parser
from harness.console.command_line import python, shell_word
from harness.console.terminal import console, say
from harness.core.errors import ConfigError, Diverged, check_range
from harness.runs.folders import new_folder
from harness.system import signals
from harness.system.gpu import gpu_present
from harness.training.plan import prepare
from harness.why.answer import Answer, Question, find_answer
from harness.why.follow_up import follow_up
from harness.why.players import beside, differences
from harness.why.shapley import PAIRS, USUAL, design
from harness.why.sides import REPLICAS, as_typed, from_overrides, from_runs
from harness.why.words import caption, headline, interplay, levels, sentence

# Names and directories of runs may hold a = too, after a dot · or a slash.
OVERRIDE = re.compile(r"\+{0,2}[\w.@]+=|~[^/]", re.ASCII)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code: 0 answered, 1 a training diverged, 2 the command
    cannot be run as it stands."""
    streams.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _why(_parse(words), words)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except Diverged as error:
        print(f"Diverged {error}", file=sys.stderr)
        return 1


def _parse(words: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="python -m harness.why",
        description="Answer why two ways of training the same network train differently.",
        epilog="Overrides with a. or b. in front are for one side: task=sum a.semantics=torch "
        "b.semantics=keras b.optimizer.lr=0.01. A run is a directory, an MLflow id or a name. "
        f"Each side has {REPLICAS} replicas, or as many as replicas=N or a run says.",
    )
    add = parser.add_argument
    add("words", nargs="+", metavar="RUN | OVERRIDE", help="two runs, overrides, or both")
    add(
        "--evaluations",
        type=int,
        metavar="N",
        help=f"at most N combinations of settings are trained (default: {USUAL}, or what {PAIRS} "
        "pairs of orders need where many settings differ); the answer is exact if 2 to the power "
        "of the number of settings is not above N",
    )
    add("--seed", type=int, default=0, help="of the orders that are sampled otherwise")
    add("--train-backend", default="numpy", metavar="NAME", help="trains them (default: numpy)")
    add("--config-dir", type=Path, help="folder with your own options")
    add("--results", type=Path, help="folder of the results (default: results)")
    add("--uri", help="MLflow's tracking URI, to find runs (default: mlflow.db in the results)")
    return parser.parse_intermixed_args(words)


def _why(options: argparse.Namespace, words: list[str]) -> int:
    question, screen = _question(options), console()
    screen.print(f"[bold]{escape(headline(question))}[/bold]", soft_wrap=True)
    if any(is_run(word) for word in options.words):
        seeds = len(question.a.seeds)
        screen.print(f"Both runs are trained again, on the same {seeds} seeds.")
    if question.settled:
        screen.print("No setting that acts differs: both sides train alike.")
        screen.print("Give each its own with a.KEY=VALUE and b.KEY=VALUE, as in b.optimizer.lr=0.1")
        _show_idle(question, screen)
        return 0
    answer, folder = _recorded_answer(question, python("harness.why", words))
    _show(question, answer, screen)
    _show_idle(question, screen)
    _say_next(question, answer, words, folder, screen)
    return 0


def _question(options: argparse.Namespace) -> Question:
    """Both sides, checked, and what differs between them."""
    check_range("--seed", options.seed, 0)
    if options.uri is not None:
        check_uri("--uri", options.uri)
    a, b = _sides(options)
    if options.results is not None:
        a = replace(a, results=str(options.results))
    if options.uri is not None:
        a = replace(a, tracking=replace(a.tracking, uri=options.uri))
    backend = _train_backend(options)
    with as_typed("b", options.words):
        prepare(b)
    with as_typed("a", options.words):
        samples = prepare(a).splits.train.x.shape[1]
    gpu = "cuda" in backend.devices and a.device != "cpu" and gpu_present()
    players, idle = differences(a, b, samples, gpu)
    chosen = design(len(players), options.evaluations, np.random.default_rng(options.seed))
    return Question(a, b, players, [*idle, *beside(a, b)], backend, chosen)


def _train_backend(options: argparse.Namespace) -> BackendConfig:
    name = options.train_backend
    try:
        return compose([f"backend={name}"], options.config_dir).backend
    except ConfigError as error:
        option = str(error).replace(f"backend={name}", f"--train-backend {name}", 1)
        raise ConfigError(option) from error


def _sides(options: argparse.Namespace) -> tuple[Config, Config]:
    """A and B, from two runs and overrides or from overrides alone."""
    runs = [w for w in options.words if is_run(w)]
    overrides = [w for w in options.words if not is_run(w)]
    if len(runs) not in (0, 2):
        raise ConfigError(
            f"{' '.join(runs)}: name two runs, or none and overrides such as "
            "a.semantics=torch b.semantics=keras."
        )
    if runs:
        typed = [w.partition("=")[2] for w in overrides if w.startswith("results=")]
        results = options.results or Path(["results", *typed][-1])
        return from_runs(runs, overrides, results, options.uri)
    return from_overrides(overrides, options.config_dir)


def is_run(word: str) -> bool:
    return OVERRIDE.match(word) is None or Path(word).is_dir()


def _recorded_answer(question: Question, command: str) -> tuple[Answer, Path]:
    """Find it, and leave its report in a folder and in MLflow."""
    from harness.tracking.mlflow_process import track
    from harness.tracking.run_log import RunLog
    from harness.why import report  # late: with pandas and Matplotlib it takes a second

    results, tracking = Path(question.a.results), question.a.tracking
    folder = results / "why" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    with new_folder(folder):
        shown = track(tracking, tracking.experiment_or(report.EXPERIMENT), results, folder)
        with RunLog(folder, shown) as record:
            report.begin(record, question, command)
            answer = find_answer(question)
            report.finish(record, question, answer, command)
    return answer, folder


def _show(question: Question, answer: Answer, screen: Console) -> None:
    """The answers first, then the table behind them: that of the final loss if it has a gap."""
    from harness.why.report import acting_table, shown

    for outcome in answer.outcomes:
        screen.print(f"\n{escape(sentence(question, outcome))}")
    screen.print()
    if not answer.divided:
        screen.print(_table(acting_table(question), "what differs"))
    else:
        first, *others = [outcome for outcome in answer.outcomes if outcome.real]
        table = shown(question, first)
        for other in others:
            shares = shown(question, other, errors=False).set_index("setting")["share"]
            table["share of\nthe mean"] = [shares[name] for name in table["setting"]]
        screen.print(_table(table, escape(levels(first))))
        screen.print(escape(interplay(first)))
    screen.print(f"[dim]{escape(caption(question, answer))}[/dim]\n")


def _show_idle(question: Question, screen: Console) -> None:
    if question.idle:
        from harness.why.report import idle_table

        screen.print(_table(idle_table(question), "these differ, too, but play no part here"))


def _table(rows: Any, title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.pad_edge, table.padding = False, (0, 1, 0, 0)
    for name in rows.columns:
        words = name in ("setting", "A", "B", "why")
        whole = name not in ("A", "B", "why")
        table.add_column(name, justify="left" if words else "right", no_wrap=whole, overflow="fold")
    for row in rows.itertuples(index=False):
        table.add_row(*map(escape, row), end_section=row[0] == "framework")
    return table


def _say_next(
    question: Question, answer: Answer, words: list[str], folder: Path, screen: Console
) -> None:
    """Where it all is, and what to type to go on."""
    lines = [f"  report   {shell_word(str(folder / 'report.html'))}"]
    if more := follow_up(question, answer, words):
        lines.append(f"  next     {python('harness.why', more)}")
    tracking = question.a.tracking
    if tracking.name == "mlflow":
        from harness.tracking.mlflow_store import tracking_uri

        uri = tracking_uri(tracking.uri, Path(question.a.results))
        lines.append(f"  MLflow   mlflow ui --backend-store-uri {shell_word(uri)}{source_of(uri)}")
    for line in lines:
        say(line, screen)


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
