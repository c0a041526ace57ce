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
        usage="harness record [-h] [--training N] [--out DIR] [--no-repeat] PROGRAM [ARGUMENT ...]",
        purpose="Record a training in a program or notebook as it is; repeat it in every backend.",
        examples=EXAMPLES,
    )
    add = command_line.add_argument
    add("--training", metavar="N", type=int, default=1, help="its N-th training (default: 1)")
    add("--out", metavar="DIR", type=Path, help="a new folder (default: recorded/NAME)")
    add("--no-repeat", dest="repeat", action="store_false", help="end with the recording")
    add("program", metavar="PROGRAM", type=Path, help="a .py of Keras or PyTorch, or an .ipynb")
    add("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="of the program")
    return command_line
