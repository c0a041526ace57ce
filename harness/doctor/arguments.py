"""The command line of `harness doctor`."""

from pathlib import Path

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
    add = command_line.add_argument
    words = "a run, a sweep or a folder of them (default: the results)"
    add("words", metavar="RUN_OR_FOLDER", nargs="*", help=words)
    add("--fix", action="store_true", help="mend what can be mended")
    folder = "folder of the results (default: results)"
    add("--results", metavar="DIR", default="results", type=Path, help=folder)
    return command_line
