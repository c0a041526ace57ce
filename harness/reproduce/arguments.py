"""The command line of `harness reproduce`."""

from pathlib import Path

from harness.console.arguments import Parser

EXAMPLES = """\
  harness task=sum hydra.run.dir=mine    # a run to repeat
  harness reproduce mine
  harness reproduce mine --with backend=torch
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness reproduce",
        purpose="Repeat a recorded run from its own folder and say whether it comes out the same,\n"
        "bit for bit or within rounding, and if not, from which epoch on.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("run", metavar="RUN", help="its directory, name, or MLflow id")
    changes = "elsewhere: backend, backend.kernel, device, threads"
    add("--with", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=changes)
    add("--epochs", type=int, metavar="N", help="its first N epochs alone (default: all)")
    add("--config-dir", metavar="DIR", type=Path, help="your own tasks or backends")
    command_line.add_places()
    return command_line
