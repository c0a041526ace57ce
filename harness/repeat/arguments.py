"""The command line of `harness repeat`."""

from pathlib import Path

from harness.console.arguments import Parser
from harness.identify.arguments import add_search

EXAMPLES = """\
  harness repeat recorded                # a folder that harness.recorder wrote
  harness repeat recorded backend=numpy,torch
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness repeat",
        purpose="Make a recorded training of your own an experiment, and run it in every backend.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("recording", metavar="RECORDING", type=Path, help="its folder (docs/recording.md)")
    words = "settings of the runs; backend=A,B: in these alone"
    add("overrides", nargs="*", metavar="KEY=VALUE", help=words)
    add("--out", metavar="DIR", type=Path, default=Path("identified"), help="of its settings")
    add("--name", help="of the experiment (default: the recording's)")
    add("--nearest", action="store_true", help="go on where no rules fit, with the nearest")
    add_search(command_line)
    return command_line
