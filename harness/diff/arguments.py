"""The command line of `harness diff`."""

from pathlib import Path

from harness.console.arguments import Parser

EXAMPLES = """\
  harness task=sum backend=torch             # a run to compare, by its name
  harness diff sum·torch·rnn·s0 sum·torch·rnn·s0
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness diff",
        purpose="Say whether two trained networks, A and B, compute the same, and if not, which\n"
        "known mistake makes B of A.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    kinds = "two runs or files; b.replica=1, b.reset=before and such for one of them"
    add("words", nargs="+", metavar="A B | b.KEY=VALUE", help=kinds)
    inputs = "inputs, .npy (N, T, F) or .csv (default: random)"
    add("--input", metavar="FILE", type=Path, help=inputs)
    add("--outputs", metavar="FILE", type=Path, help="what B's own program gave for them, .npy")
    add("--fix", metavar="FILE", type=Path, help="write B put right, .safetensors")
    command_line.add_places()
    return command_line
