"""The command line of `harness compare`."""

from harness.console.arguments import Parser

EXAMPLES = """\
  harness -m task=sum backend=numpy,torch    # a sweep to compare
  harness compare
  harness compare --experiment sum --filter "params.model.cell = 'rnn'"
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness compare",
        purpose="Show the losses of the same training in several backends side by side.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("--parent", metavar="RUN_ID", help="the sweep to compare (default: the latest)")
    add("--experiment", metavar="NAME", help="all runs of an MLflow experiment instead")
    add("--filter", metavar="CONDITION", help="in MLflow's syntax, as in the examples")
    command_line.add_places()
    return command_line
