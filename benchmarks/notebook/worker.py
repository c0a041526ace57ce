"""`python -m benchmarks.notebook.worker FRAMEWORK NAME THREADS`: the seconds of a small training.

It is as small as in a teaching notebook. The first epoch counts, with what is compiled in it;
imports do not.
"""

import sys
import time
from functools import partial

from benchmarks.common.cases import Case
from benchmarks.common.contestants import Build, line_up

EPOCHS = 10
CASE = Case("notebook", "rnn", units=32, length=10, batch=8, steps=13)


def main() -> None:
    framework, name, threads = sys.argv[1:]
    build, calls = _loaded(framework, name, int(threads))
    began = time.perf_counter()
    epoch = build(CASE)
    for _ in range(calls):
        epoch()
    print(time.perf_counter() - began)


def _loaded(framework: str, name: str, threads: int) -> tuple[Build, int]:
    """What builds it, and how many calls its epochs are: `fit` takes all of them in one."""
    if name == "fit":
        from benchmarks.by_hand import keras_fit

        return partial(keras_fit.build, epochs=EPOCHS), 1
    found = line_up(framework, [CASE], ["default"], threads, by_hand=True)
    [chosen] = [each for each in found if each.name == name]
    return chosen.load(), EPOCHS


if __name__ == "__main__":
    main()
