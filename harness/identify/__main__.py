"""`harness identify`: find the numeric rules by which a recorded training went.

Exit code 0: found; 1: no rules known here give the recorded losses; 2: the command cannot be run as
it stands.
"""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from harness.console import streams
from harness.console.command_line import option, shell_line
from harness.console.terminal import console
from harness.core.errors import ConfigError, check_range
from harness.identify import report
from harness.identify.answer import answer, check_free, name_of, sentence, words, write
from harness.identify.arguments import parser
from harness.identify.case import Case
from harness.identify.network import read_case
from harness.identify.price import affordable
from harness.identify.search import Found, search
from harness.identify.stated import order, starts, unknown
from harness.identify.verdicts import Verdict, verdicts
from harness.readers.foreign_network import Stated
from harness.recorder.recording import Recording, read_recording
from harness.system import signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        return _identify(parser().parse_args(arguments), console())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _identify(options: argparse.Namespace, screen: Console) -> int:
    check_range("--steps", options.steps, 1)
    check_range("--seconds", options.seconds, 1.0)
    check_range("--lr", options.lr, 0.0)
    name = name_of(options.recording, options.name)
    path = options.out / "semantics" / f"{name}.yaml"
    check_free(path)
    recording = read_recording(options.recording)
    stated = Stated(only=options.only, head=options.head)
    case = read_case(options.recording, recording, stated, options.lr)
    for note in recording.notes:
        report.say(f"The recorder noted: {note}.", screen)
    begun = starts(options.recording, recording)
    case, budget, price = affordable(case, begun[0], options.steps, options.seconds)
    report.say(price, screen)
    found = search(case, begun, lambda line: report.say(line, screen), budget)
    if not found.fits:
        left_out = report.left_out(budget, options.seconds)
        for line in [*report.none_fits(case, found), *left_out, *_reasons(recording)]:
            report.say(line, screen, "bold red")
        return 1
    judged = verdicts(case, found, recording)
    result = answer(case, found, judged, order(recording), name)
    write(path, result, judged, options.recording)
    _say_answer(case, found, judged, screen)
    report.say("\n" + sentence(result, found.rules, judged), screen, "bold")
    report.say(f"{path}: its semantics, to train by:", screen)
    typed = ["harness", *option("--config-dir", str(options.out))]
    report.say("  " + shell_line([*typed, *words(result, found.rules, case)]), screen)
    return 0


def _say_answer(case: Case, found: Found, judged: list[Verdict], screen: Console) -> None:
    screen.print()
    screen.print(report.table(judged))
    screen.print()
    for line in report.idle_rules(judged):
        report.say(line, screen)
    report.say(report.judgement(case, found), screen)
    if case.rounded:
        report.say("Keras rounds the optimiser's numbers to float32, as was done here.", screen)


def _reasons(recording: Recording) -> list[str]:
    """Return what the program states of itself that no rule here has."""
    settings = unknown(recording)
    lines = [f"The program states {', '.join(settings)}, which no rule here has."]
    lines = lines if settings else []
    stated = recording.stated
    if stated.get("backend") == "jax" and stated.get("floatx") == "float64":
        lines.append("Keras on JAX computes parts of float64 in float32; record it in float32.")
    return lines


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
