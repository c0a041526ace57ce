"""The command line of `harness identify`."""

from pathlib import Path

from harness.console.arguments import Parser
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
    add("--seconds", type=float, default=SECONDS, metavar="N", help="a search may take (60)")
    add("--steps", type=int, metavar="N", help="its first N steps (default: what these allow)")
    add("--lr", type=float, help="the learning rate, where the recording has none")
    add("--only", metavar="NAME", help="the recurrent layer to take, of several")
    add("--head", metavar="NAME", help="the dense layer after it, of several, or none")
    return command_line
