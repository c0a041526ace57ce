"""The command line of `harness adopt`."""

from harness.console.arguments import Parser

KINDS = ".keras, .weights.h5, .pt, .safetensors, .npz, .msgpack or .onnx"

EXAMPLES = """\
  harness adopt model.keras
  harness adopt encoder.pt --only encoder.rnn --activation tanh --returns last
  harness adopt model.onnx --data mine.npz backend=torch
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness adopt",
        purpose="Make a run of a trained network that is in a file of Keras, PyTorch, JAX or ONNX.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("file", metavar="FILE", help=KINDS)
    add(
        "overrides", metavar="KEY=VALUE", nargs="*", help="settings of the run, such as backend=jax"
    )
    add("--data", metavar="FILE", help=".npz with x and y to predict (default: random inputs)")
    add_questions(command_line)
    return command_line


def add_questions(command_line: Parser) -> None:
    """Add the options that say what a file of weights cannot."""
    add = command_line.add_argument
    add("--only", metavar="NAME", help="the recurrent layers to take, if the file has several")
    add("--head", metavar="NAME", help="the dense layer after them, or none")
    add("--activation", choices=["tanh", "relu"], help="of the simple cell")
    add("--reset", choices=["after", "before"], help="the GRU's reset gate and its product")
    add("--returns", choices=["last", "every_step"], help="which outputs the network gives")
    add("--outputs", choices=["values", "probabilities"], help="whether it ends in a sigmoid")
