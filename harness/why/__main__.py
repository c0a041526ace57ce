"""`harness why`: which settings make two trainings of the same network end differently.

Every setting in which the sides differ is a player of a game whose value is the loss: A's
configuration with some settings switched to B's is trained, over paired seeds, for all or many such
choices, and Shapley values share the gap out. All of these are trained in one backend, which obeys
every rule; A and B are also trained in their own, and what is left then is the frameworks'.
"""

import argparse
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

from harness.config.backend import BackendConfig
from harness.config.compose import compose
from harness.config.overrides import is_run
from harness.config.schema import Config
from harness.config.tracking_store import check_uri, source_of
from harness.console import streams
from harness.console.command_line import python, shell_word
from harness.console.terminal import console, say
from harness.core.errors import ConfigError, Diverged, check_range
from harness.runs.folders import new_folder
from harness.system import signals
from harness.system.gpu import gpu_present
from harness.training.plan import prepare
from harness.why.answer import Answer, Question, find_answer
from harness.why.arguments import parser
from harness.why.follow_up import follow_up
from harness.why.players import differences, shared_differences
from harness.why.recorded.command import explain_recordings, is_recording
from harness.why.sentences import caption, headline, interplay, levels, sentence
from harness.why.shapley import design
from harness.why.sides import from_overrides, from_runs, prefixed_errors


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: answered; 1: a training diverged; 2: the command cannot be run as it stands.
    """
    streams.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = parse_arguments(words)
        if any(is_recording(word) for word in options.words):
            return explain_recordings(options, words)
        return _why(options, words)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except Diverged as error:
        print(f"Diverged {error}", file=sys.stderr)
        return 1


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """Read the words of the command line. Raises `ConfigError`."""
    return parser().parse_intermixed_args(words)


def _why(options: argparse.Namespace, words: list[str]) -> int:
    question, screen = read_question(options), console()
    screen.print(f"[bold]{escape(headline(question))}[/bold]", soft_wrap=True)
    if any(is_run(word) for word in options.words):
        seeds = len(question.a.seeds)
        screen.print(f"Both runs are trained again, on the same {seeds} seeds.")
    if question.identical:
        screen.print("No setting that acts differs: both sides train alike.")
        screen.print("Give each its own with a.KEY=VALUE and b.KEY=VALUE, as in b.optimizer.lr=0.1")
        _show_idle(question, screen)
        return 0
    answer, folder = _recorded_answer(question, python("harness.why", words))
    _show(question, answer, screen)
    _show_idle(question, screen)
    _say_next(question, answer, words, folder, screen)
    return 0


def read_question(options: argparse.Namespace) -> Question:
    """Return both sides, checked, and the settings in which they differ. Raises `ConfigError`."""
    check_range("--seed", options.seed, 0)
    if options.uri is not None:
        check_uri("--uri", options.uri)
    a, b = read_sides(options)
    if options.results is not None:
        a = replace(a, results=str(options.results))
    if options.uri is not None:
        a = replace(a, tracking=replace(a.tracking, uri=options.uri))
    backend = _train_backend(options)
    with prefixed_errors("b", options.words):
        prepare(b)
    with prefixed_errors("a", options.words):
        samples = prepare(a).splits.train.x.shape[1]
    gpu = "cuda" in backend.devices and a.device != "cpu" and gpu_present()
    players, idle = differences(a, b, samples, gpu)
    chosen = design(len(players), options.evaluations, np.random.default_rng(options.seed))
    return Question(
        a=a,
        b=b,
        players=players,
        idle=[*idle, *shared_differences(a, b)],
        backend=backend,
        design=chosen,
    )


def _train_backend(options: argparse.Namespace) -> BackendConfig:
    name = options.train_backend
    try:
        return compose([f"backend={name}"], options.config_dir).backend
    except ConfigError as error:
        option = str(error).replace(f"backend={name}", f"--train-backend {name}", 1)
        raise ConfigError(option) from error


def read_sides(options: argparse.Namespace) -> tuple[Config, Config]:
    """Return A and B, from two runs and overrides or from overrides alone.

    Raises `ConfigError`.
    """
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
        return from_runs(runs, overrides, results, options.uri, options.config_dir)
    return from_overrides(overrides, options.config_dir)


def _recorded_answer(question: Question, command: str) -> tuple[Answer, Path]:
    """Return the answer and the folder of its report, which MLflow gets, too."""
    from harness.tracking.mlflow_process import track
    from harness.tracking.run_log import RunLog
    from harness.why import report  # late, since pandas and Matplotlib take a second to import

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
    """Print the answers, then the table of the first measure with a gap."""
    from harness.why.report import acting_table, shown

    for outcome in answer.outcomes:
        screen.print(f"\n{escape(sentence(question, outcome))}")
    screen.print()
    if not answer.divided:
        screen.print(_table(acting_table(question), "what differs"))
    else:
        first, *others = [outcome for outcome in answer.outcomes if outcome.significant]
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
    """Print where the results are, and the command that may follow."""
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
