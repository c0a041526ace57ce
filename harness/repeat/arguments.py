"""The command line of `harness repeat`."""

from pathlib import Path

from harness.console.arguments import Parser
from harness.identify.price import SECONDS

EXAMPLES = """\
  harness repeat recorded                # a folder that harness.recorder wrote
  harness repeat recorded backend=numpy,torch trainer.epochs=2
  harness --config-dir identified experiment=recorded backend=torch
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
    add("--steps", type=int, metavar="N", help="judge N steps (default: what a minute allows)")
    add("--seconds", type=float, default=SECONDS, metavar="N", help="a search may take (60)")
    add("--lr", type=float, help="the learning rate, where the recording has none")
    add("--only", metavar="NAME", help="the recurrent layer to take, of several")
    add("--head", metavar="NAME", help="the dense layer after it, of several, or none")
    return command_line
