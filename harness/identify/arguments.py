"""The command line of `harness identify`."""

import argparse
from pathlib import Path

from harness.console.arguments import Parser
from harness.core.errors import check_range
from harness.identify.price import SECONDS

EXAMPLES = """\
  harness identify recorded                  # a folder that harness.recorder wrote
  harness --config-dir identified task=sum semantics=recorded
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness identify",
        purpose="Find the numeric rules by which a recorded training of your own program went.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("recording", metavar="RECORDING", type=Path, help="its folder (docs/recording.md)")
    add("--out", metavar="DIR", type=Path, default=Path("identified"), help="where the rules go")
    add("--name", help="of the semantics (default: the recording's)")
    add_search(command_line)
    return command_line


def add_search(command_line: Parser) -> None:
    """Add the options of the search for rules, which `harness repeat` has, too."""
    add = command_line.add_argument
    add("--seconds", type=float, default=SECONDS, metavar="N", help="a search may take (60)")
    add("--steps", type=int, metavar="N", help="its first N steps (default: what these allow)")
    add("--lr", type=float, help="the learning rate, where the recording has none")
    add("--only", metavar="NAME", help="the recurrent layer to take, of several")
    add("--head", metavar="NAME", help="the dense layer after it, of several, or none")


def check_search(options: argparse.Namespace) -> None:
    """Raise `ConfigError` for a number that is out of range."""
    check_range("--steps", options.steps, 1)
    check_range("--seconds", options.seconds, 1.0)
    check_range("--lr", options.lr, 0.0)
