"""The command line of `harness compare`."""

from pathlib import Path

from harness.console.arguments import Parser

EXAMPLES = """\
  harness -m task=sum backend=numpy,torch    # a sweep to compare
  harness compare
  harness compare --experiment sum --filter "params.model.cell = 'rnn'"
"""


def parser() -> Parser:
    """Its options and its help."""
    made = Parser(
        prog="harness compare",
        purpose="Show the losses of the same training in several backends side by side.",
        examples=EXAMPLES,
    )
    add = made.add_argument
    add("--parent", metavar="RUN_ID", help="the sweep to compare (default: the latest)")
    add("--experiment", metavar="NAME", help="all runs of an MLflow experiment instead")
    add("--filter", metavar="CONDITION", help="in MLflow's syntax, as in the examples")
    add(
        "--results",
        metavar="DIR",
        default="results",
        type=Path,
        help="folder of the results (default: results)",
    )
    add("--uri", help="MLflow's tracking URI (default: mlflow.db in the results)")
    return made
