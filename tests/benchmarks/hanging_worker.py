"""A worker of `python -m benchmarks gpu` whose work never ends."""

import sys
import time

from benchmarks.gpu.job import Job, Piece, Row
from benchmarks.gpu.worker import work


def hang(_: Job, __: Piece) -> Row:
    time.sleep(1e6)
    return {}


if __name__ == "__main__":
    sys.exit(work(hang))
