"""The command line of `harness record`."""

import argparse
from pathlib import Path

from harness.console.arguments import Parser

EXAMPLES = """\
  harness record train.py                       # to recorded/train
  harness record --training 2 train.py --epochs 3
  harness record --out lesson lesson.ipynb
"""


def parser() -> Parser:
    """Return the parser of the command line, which has its help, too."""
    command_line = Parser(
        prog="harness record",
        usage="harness record [-h] [--training N] [--out DIR] PROGRAM [ARGUMENT ...]",
        purpose="Run a program or a notebook as it is, and record a training in it.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("--training", metavar="N", type=int, default=1, help="its N-th training (default: 1)")
    add("--out", metavar="DIR", type=Path, help="a new folder (default: recorded/NAME)")
    add("program", metavar="PROGRAM", type=Path, help="a .py of Keras or PyTorch, or an .ipynb")
    add("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="of the program")
    return command_line
