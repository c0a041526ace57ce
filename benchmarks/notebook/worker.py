"""Worker of `notebook`: `python -m benchmarks.notebook.worker FRAMEWORK NAME THREADS EPOCHS`.

Prints the seconds of a training as small as in a teaching notebook, with the first epoch and its
compiling, without imports.
"""

import sys
import time
from functools import partial

from benchmarks.common.cases import Case
from benchmarks.common.contestants import Build, line_up

CASE = Case("notebook", "rnn", units=32, length=10, batch=8, steps=13)


def main() -> None:
    """Train, and print the seconds."""
    framework, name, threads, epochs = sys.argv[1:]
    build, calls = _loaded(framework, name, int(threads), int(epochs))
    began = time.perf_counter()
    epoch = build(CASE)
    for _ in range(calls):
        epoch()
    print(time.perf_counter() - began)


def _loaded(framework: str, name: str, threads: int, epochs: int) -> tuple[Build, int]:
    """Return the builder, and the number of calls of its epoch: `fit` trains all epochs in one."""
    if name == "fit":
        from benchmarks.by_hand import keras_fit

        return partial(keras_fit.build, epochs=epochs), 1
    contestants = line_up(framework, [CASE], ["rule"], threads, peers="all")
    [chosen] = [contestant for contestant in contestants if contestant.name == name]
    return chosen.load(), epochs


if __name__ == "__main__":
    main()
