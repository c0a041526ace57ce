"""The command line of `harness sync`."""

from harness.console.arguments import Parser

EXAMPLES = """\
  harness task=sum
  harness sync                                     # all results, to where they belong
  harness sync results --uri sqlite:///copy.db     # another store
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness sync",
        purpose="Send to MLflow whatever it lacks of recorded runs and sweeps.",
        examples=EXAMPLES,
    )
    command_line.add_journals()
    command_line.add_argument("--uri", help="another store of MLflow (default: each run's own)")
    return command_line
