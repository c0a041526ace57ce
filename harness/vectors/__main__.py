"""`harness vectors OUT`: reference vectors for whoever implements a recurrent layer.

Exit code 0: written; 2: the command cannot be run as it stands, and nothing was written.
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.console import streams
from harness.core.errors import ConfigError
from harness.system import signals
from harness.vectors.arguments import parser
from harness.vectors.cases import BIASES, CASES, NETWORKS, SEQUENCES, Case
from harness.vectors.description import description
from harness.vectors.index import page
from harness.vectors.numbers import arrays
from harness.vectors.placing import filled


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        return _write(_parse(arguments))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print("\nStopped; nothing was written.", file=sys.stderr)
        return getattr(stop, "code", 130)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    return parser().parse_args(arguments)


def chosen(only: list[str]) -> list[Case]:
    """Return the cases with all these words in their names; raise `ConfigError` if none has."""
    cases = CASES
    for word in only:
        cases = [case for case in cases if word in case.name]
        if not word or not cases:
            valid = ", ".join([*NETWORKS, *BIASES, *SEQUENCES])
            raise ConfigError(f"--only {word}: no such case; its name is made of {valid}.")
    return cases


def _write(options: argparse.Namespace) -> int:
    if not options.out:  # Path would make it the current directory
        raise ConfigError("OUT: must name a folder.")
    cases, onnx, out = chosen(options.only), not options.no_onnx, Path(options.out)
    if onnx and importlib.util.find_spec("onnx") is None:
        raise ConfigError(
            "the package onnx is not installed; run: pip install onnx, or leave the "
            "models out with --no-onnx."
        )
    with filled(out) as place:
        for case in cases:
            write_case(case, place, onnx)
        (place / "README.md").write_text(page(cases, onnx), encoding="utf-8")
    sizes = [path.stat().st_size for path in out.iterdir()]
    kinds = "one .npz, one .json and one .onnx" if onnx else "one .npz and one .json"
    print(f"{len(cases)} case{'s' * (len(cases) > 1)} of reference vectors in float64\n")
    print(f"  {out}  {len(sizes)} files, {sum(sizes):,} bytes")
    print(f"  each case: {kinds}")
    print(f"\nTo check an implementation with them, read {out / 'README.md'}.")
    return 0


def write_case(case: Case, place: Path, onnx: bool) -> None:
    """Write the files of a case into `place`."""
    named: dict[str, Any] = arrays(case)
    np.savez(place / f"{case.name}.npz", **named)
    if onnx:
        from harness.vectors import onnx_model

        onnx_model.write(case, case.params(), place / f"{case.name}.onnx")
    text = description(case, named, onnx)
    (place / f"{case.name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    signals.install()
    sys.exit(main())
