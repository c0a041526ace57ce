"""The command line of `harness doctor`."""

from harness.console.arguments import Parser

EXAMPLES = """\
  harness task=sum
  harness doctor             # exit code 1 if something is wrong
  harness doctor --fix
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness doctor",
        purpose="Find runs that died, that MLflow lacks or shows wrongly, and damaged files.",
        examples=EXAMPLES,
    )
    command_line.add_journals()
    command_line.add_argument("--fix", action="store_true", help="mend what can be mended")
    return command_line
