"""`python -m benchmarks`: time the harness against the same training written by hand.

    python -m benchmarks                # the time of a training step, everywhere: hours
    python -m benchmarks --short        # a check that the benchmark works: a minute
    python -m benchmarks scaling        # time and memory against length, batch and replicas
    python -m benchmarks notebook       # first epoch and training as small as in a notebook
    python -m benchmarks startup        # seconds until the harness answers, trains, refuses
    python -m benchmarks sweep          # tracked runs per second
    python -m benchmarks workers        # sweeps by one process, worker processes, Ray
    python -m benchmarks overhead       # what journal, files and MLflow add to a run, to an epoch
    python -m benchmarks store          # what stores of MLflow take in, and how long they search
    python -m benchmarks check          # whether anything has become slower: a minute or two
    python -m benchmarks tables FILE…   # what `steps` measured, as the tables of docs/speed.md
    python -m benchmarks gpu            # tests, parity and speed on a GPU, within --minutes

Exit code 0: everything was measured; 1: a measurement failed, and the tables name it, or a check
did; 2: the command is invalid.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.common.cases import CELLS, FRAMEWORKS, SIZES
from harness.console import streams
from harness.console.command_line import python
from harness.core.errors import ConfigError, check_package
from harness.system import signals

MEASURED = ("steps", "scaling", "notebook", "startup", "sweep", "workers", "overhead", "store")
VERBS = (*MEASURED, "check", "tables", "gpu")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    streams.prepare()
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = _parse(words)
    command = python("benchmarks", words)
    return _run(options, command)


def _run(options: argparse.Namespace, command: str) -> int:
    try:
        check_package("benchmarks", "hydra", "hydra-core")
        return import_module(f"benchmarks.{options.verb}.run").run(options, command)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Times the harness against what a user would write by hand.",
    )
    add = parser.add_argument
    add("verb", nargs="?", choices=VERBS, default="steps", help="what to measure (default: steps)")
    add("files", nargs="*", type=Path, metavar="FILE", help="benchmark.json of steps (tables only)")
    add("--sizes", type=_names(SIZES), help=f"of {','.join(SIZES)} (steps, check, gpu)")
    add("--cells", type=_names(CELLS), help=f"of {','.join(CELLS)} (scaling: default rnn)")
    add("--frameworks", type=_names(FRAMEWORKS), default=list(FRAMEWORKS))
    add("--replicas", type=_numbers, help="trained at once (default: 1,8,32,128)")
    add("--kernels", type=_words, help="each as backend.kernel=NAME; rule: as in a short run")
    add("--threads", type=_number, help="default: all cores; check: 1, for a busy machine")
    add("--repeats", type=_number, help="default: 7")
    add("--memory", action=argparse.BooleanOptionalAction, help="peak memory (not with --short)")
    add("--runs", type=_number, help="that are sent each time (store only; default: 200)")
    add("--senders", type=_numbers, help="processes that send at once (store only; default: 1,2,4)")
    add("--listed", type=_numbers, help="runs in a store that is searched (default: 1000,10000)")
    add("--expected", type=Path, metavar="FILE", help="ratios to compare with (check only)")
    add("--write", action="store_true", help="measure them anew, into a new file (check only)")
    add("--device", choices=("cuda", "cpu"), default="cuda", help="gpu only; cpu tries it out")
    parts = ("tests", "parity", "speed")
    add("--parts", type=_names(parts), default=parts, help=f"of {','.join(parts)} (gpu only)")
    add("--minutes", type=_number, default=12, help="for all parts (gpu only; default: 12)")
    add("--short", action="store_true", help="only whether it works: no figures to quote")
    add("--results", type=Path, default=Path("results"), metavar="FOLDER")
    options = _filled(parser.parse_intermixed_args(words))
    if bool(options.files) != (options.verb == "tables"):
        parser.error("tables FILE: the files that steps has written; other verbs take none")
    return options


def _filled(options: argparse.Namespace) -> argparse.Namespace:
    """Fill in defaults; with `--short`, they are small."""
    short = options.short
    few = short or options.verb == "scaling"
    defaults = {
        "sizes": ["tiny"] if short else list(SIZES),
        "cells": ["rnn"] if few else list(CELLS),
        "replicas": [1, 8] if short else [1, 8, 32, 128],
        "kernels": ["auto"] if options.verb == "steps" and not short else ["rule"],
        "threads": 1 if options.verb == "check" else os.cpu_count() or 1,
        "repeats": _repeats(options.verb, short),
        "memory": not short,
        "runs": 4 if short else 200,
        "senders": [1, 2] if short else [1, 2, 4],
        "listed": [6] if short else [1000, 10_000],
    }
    for name, value in defaults.items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def _repeats(verb: str, short: bool) -> int:
    if short:
        return 1 if verb in ("sweep", "workers") else 2
    return 3 if verb in ("check", "gpu") else 7


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or len(set(words)) < len(words):
        raise argparse.ArgumentTypeError(f"{text!r} must be one or more different words")
    return words


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        chosen = _words(text)
        if set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{text!r} must be of {', '.join(known)}")
        return chosen

    return names


def _numbers(text: str) -> list[int]:
    return sorted(map(_number, _words(text)))


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number, at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
