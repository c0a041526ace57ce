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
from harness.core.errors import ConfigError
from harness.identify import report
from harness.identify.answer import answer, check_free, name_of, sentence, words, write
from harness.identify.arguments import check_search, parser
from harness.identify.case import Case
from harness.identify.identified import identified
from harness.identify.search import Found
from harness.identify.stated import order
from harness.identify.verdict import Verdict
from harness.readers.foreign_network import Stated
from harness.recorder.recording import read_recording
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
    check_search(options)
    name = name_of(options.recording, options.name)
    path = options.out / "semantics" / f"{name}.yaml"
    check_free(path)
    recording = read_recording(options.recording)
    stated = Stated(only=options.only, head=options.head)
    outcome = identified(
        options.recording,
        recording,
        lambda line: report.say(line, screen),
        stated=stated,
        lr=options.lr,
        steps=options.steps,
        seconds=options.seconds,
    )
    case, found, judged = outcome.case, outcome.found, outcome.verdicts
    if not found.fits:
        for line in report.none_fits(outcome, options.seconds):
            report.say(line, screen, "bold red")
        return 1
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


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
