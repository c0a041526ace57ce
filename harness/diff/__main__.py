"""`harness diff`: tell whether two trained networks compute the same, or what was done to one.

Exit code 0: they compute the same; 1: they differ; 2: the command cannot be run as it stands.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from harness.console import streams
from harness.console.terminal import console
from harness.core.arrays import Array
from harness.core.errors import ConfigError
from harness.diff import report
from harness.diff.arguments import parser
from harness.diff.comparison import Comparison
from harness.diff.fix import check_free, fix
from harness.diff.inputs import random_inputs, read_array, read_inputs
from harness.diff.search import Answer
from harness.diff.sentences import no_answer, sentence
from harness.diff.sides import read_side, sides
from harness.formats.trained_network import Network
from harness.system import signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        return _diff(parser().parse_intermixed_args(arguments), console())
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _diff(options: argparse.Namespace, screen: Console) -> int:
    if options.fix is not None:
        check_free(options.fix)
    if options.outputs is not None and options.input is None:
        raise ConfigError(f"--outputs {options.outputs}: needs --input, for which they were given.")
    networks = []
    for side in sides(options.words):
        network, notes = read_side(side, options.results, options.uri)
        networks.append(network)
        report.say(f"{side.letter.upper()}  {network.title}. {network.origin}", screen)
        for note in notes:
            report.say(f"   {note}", screen)
    a, b = networks
    screen.print()
    screen.print(report.architecture(a, b))
    if differing := report.structure_differs(a, b):
        report.say(f"\nA and B are different networks: {', '.join(differing)}.", screen, "bold red")
        return 1
    return _compared(_comparison(a, b, options), options, screen)


def _comparison(a: Network, b: Network, options: argparse.Namespace) -> Comparison:
    if options.input is None:
        return Comparison(a=a, b=b, inputs=random_inputs([a, b]))
    inputs = read_inputs(options.input, a.model.features)
    if options.outputs is None:
        return Comparison(a=a, b=b, inputs=inputs)
    expected = Comparison(a=a, b=b, inputs=inputs).measure.computed.outputs
    return Comparison(a=a, b=b, inputs=inputs, given=_given(options.outputs, expected))


def _given(path: Path, expected: Array) -> Array:
    """Return the outputs that B's own program gave, of as many axes as A's."""
    given = read_array(f"--outputs {path}", path)
    given = given[..., None] if given.ndim == expected.ndim - 1 else given
    if given.ndim != expected.ndim or given.shape[-1] != expected.shape[-1]:
        raise ConfigError(
            f"--outputs {path}: has the shape {given.shape}; it must be {expected.shape}, as A's "
            "outputs for --input."
        )
    return given


def _compared(compared: Comparison, options: argparse.Namespace, screen: Console) -> int:
    screen.print()
    screen.print(report.weights(compared.weights))
    where = "random inputs" if options.input is None else str(options.input)
    report.say("\n" + report.outputs(compared.difference, where), screen)
    if compared.place is not None:
        report.say(report.place(compared.place), screen)
    if compared.same:
        report.say(f"\nA and B compute the same{report.though(compared)}.", screen, "bold")
        if options.fix is not None:
            report.say(f"{options.fix} was not written: nothing has to be put right.", screen)
        return 0
    screen.print()
    answers, backwards = compared.answers(), []
    if not answers:
        backwards = compared.reversed_answers()
    if not answers and not backwards:
        compared, answers = _in_units_of_a(compared, screen)
    _say_answers(answers, backwards, compared, screen)
    if options.fix is not None:
        report.say(fix(options.fix, compared, answers), screen)
    return 1


def _in_units_of_a(compared: Comparison, screen: Console) -> tuple[Comparison, list[Answer]]:
    """Return the comparison with B's units in A's order, and what explains B then, if anything."""
    reordered, layers = compared.in_units_of_a
    answers = reordered.answers() if layers else []
    if not answers:
        return compared, []
    place = report.of_layers(layers)
    report.say(f"The units of B's {place} are in another order, which changes nothing.", screen)
    report.say("With them in A's order:", screen)
    return reordered, answers


def _say_answers(
    answers: list[Answer], backwards: list[Answer], compared: Comparison, screen: Console
) -> None:
    """Print what explains B; else what explains A by B; else what is nearest."""
    if not answers and not backwards:
        report.say(no_answer(compared.nearest()), screen, "bold red")
        return
    shown = [(answer, sentence(answer)) for answer in answers]
    shown += [(answer, sentence(answer, reference="B", other="A")) for answer in backwards]
    if len(shown) > 1:
        report.say(f"{len(shown)} explanations fit equally well:", screen)
    for answer, text in shown:
        report.say(text, screen, "bold")
        left = f"{answer.remaining.error:.1e}, limit {answer.remaining.limit:.0e}"
        report.say(f"  With that, all weights are equal, and outputs differ by {left}.", screen)


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
