"""The command line of `harness vectors`."""

from harness.console.arguments import Parser
from harness.vectors.cases import BIASES, NETWORKS, SEQUENCES
from harness.vectors.optimizers import RULES, STEPS

EXAMPLES = """\
  harness vectors vectors                               # all of them
  harness vectors gru --only gru                        # those with gru in their name
  harness vectors lstm-T7 --only lstm --only T7 --no-onnx
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness vectors",
        purpose="Write reference vectors of recurrent layers, in float64: states at every step,\n"
        f"every gradient, and {STEPS} steps of {len(RULES)} optimisers, as .npz, .json and .onnx.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("out", metavar="OUT", help="a new folder, or an empty one")
    add(
        "--only",
        action="append",
        default=[],
        metavar="WORD",
        help=f"cases with WORD in their name: {', '.join([*NETWORKS, *BIASES, *SEQUENCES])}",
    )
    add("--no-onnx", action="store_true", help="leave the .onnx out")
    return command_line
