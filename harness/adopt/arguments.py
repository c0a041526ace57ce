"""The command line of `harness adopt`."""

import argparse

from harness.console.arguments import Parser
from harness.readers.foreign_network import KINDS, WORDS

ABOUT = {
    "activation": "the simple cell's",
    "reset": "the GRU's gate and its product",
    "returns": "which outputs it gives",
    "outputs": "ends it in a sigmoid?",
}

EXAMPLES = """\
  harness task=sum backend=torch             # a network to adopt, in a file
  harness export sum·torch·rnn·s0 --to onnx --out sum
  harness adopt sum/model.onnx backend=keras
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
    _add_questions(command_line)
    return command_line


def _add_questions(command_line: Parser) -> None:
    """Add the options that say what a file of weights cannot."""
    add = command_line.add_argument
    add("--only", metavar="NAME", help="of several recurrent layers, such as encoder.rnn")
    add("--prefix", dest="only", help=argparse.SUPPRESS)  # what state_dicts call it
    add("--head", metavar="NAME", help="the dense layer after them, or none")
    for name, valid in WORDS.items():
        add(f"--{name}", metavar="WORD", choices=valid, help=f"{' or '.join(valid)}: {ABOUT[name]}")
