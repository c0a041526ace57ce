"""The command line of `harness why`."""

from pathlib import Path

from harness.console.arguments import Parser
from harness.why.shapley import DEFAULT_EVALUATIONS

EXAMPLES = """\
  harness why task=sum a.semantics=torch b.semantics=keras
  harness why task=binary b.optimizer.lr=0.1 replicas=4 trainer.epochs=5
  harness why recorded_a recorded_b          # of two programs of your own
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness why",
        purpose="Say which settings make two trainings of the same network, A and B, end with\n"
        "different losses, and how much of the gap each explains.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    kinds = "settings, a.KEY=VALUE for one; two runs or recordings"
    add("words", nargs="+", metavar="KEY=VALUE | RUN", help=kinds)
    number = f"train N combinations (default: usually {DEFAULT_EVALUATIONS})"
    add("--evaluations", type=int, metavar="N", help=number)
    add("--seed", type=int, default=0, help="draws which, where there are more (default: 0)")
    add(
        "--train-backend",
        default="numpy",
        metavar="NAME",
        help="in which they are trained (default: numpy)",
    )
    add("--config-dir", metavar="DIR", type=Path, help="your own options")
    command_line.add_places(results=None)  # an override may name them, too
    return command_line
