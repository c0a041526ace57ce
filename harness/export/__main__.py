"""`harness export`: a trained network for a framework to load without this project.

A run's `network.json` says what its weights are, and how inputs and outputs were scaled. What is
written is loaded in a process of its own, which cannot import this project, and must give what the
NumPy reference gives; only then is it put in its place.
"""

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.console import streams
from harness.core.errors import ConfigError, check_package, first_line
from harness.core.tolerances import LIMITS
from harness.export.arguments import FORMATS, parser
from harness.export.check import Unfaithful, check
from harness.formats.trained_network import Network, in_float32
from harness.runs.find import find_run
from harness.runs.folders import first_free
from harness.runs.stored_network import NEEDED, read_network
from harness.system import signals
from harness.system.durable_files import sync_folder, sync_tree
from harness.system.own_files import make_folder, take_back_empty


def export(network: Network, to: str, folder: Path) -> tuple[float, str]:
    """Write `network` in the format `to` into `folder`, but only if it passes its check.

    Returns the largest difference from the reference, as `check` defines it, and the code that uses
    the model. Raises `ConfigError`, and `Unfaithful` if the check fails.
    """
    for module, package in FORMATS[to].items():
        check_package(f"--to {to}", module, package)
    writer = importlib.import_module(f"harness.formats.to_{to}")
    with _folder_beside(folder) as place:
        writer.write(network, place)
        worst = check(network, place, writer.USAGE)
        sync_tree(place)
        place.rename(folder)  # atomic, and fails unless `folder` is missing or empty
        sync_folder(folder.parent)
    return worst, writer.USAGE


@contextmanager
def _folder_beside(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, so that it can be renamed to it.

    Raises `ConfigError` if the file system refuses.
    """
    try:
        make_folder(folder.parent)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
            place = Path(temporary, folder.name)
            place.mkdir()
            yield place
    except OSError as error:
        raise ConfigError(f"--out {folder}: cannot be written ({first_line(error)}).") from error
    finally:
        take_back_empty(folder.parent)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    streams.prepare()
    try:
        return _export(_parse(arguments))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except Unfaithful as error:
        print(f"Export failed: {error}.", file=sys.stderr)
        return 1


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    return parser().parse_args(arguments)


def _export(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as fetched:
        run, place = options.run, Path(fetched)
        directory = find_run("", run, options.results, options.uri, NEEDED, place)
        network = read_network(directory, options.replica)
        home = options.results / "export" / run if directory == place else directory / "export"
    if options.to == "onnx":
        network = in_float32(network)
    name = f"{options.to}-replica-{options.replica}" if options.replica else options.to
    folder = first_free(home / name) if options.out is None else Path(options.out)
    if options.out == "":  # Path would make it the current directory
        raise ConfigError("--out: must name a folder.")
    if options.out and folder.exists() and (folder.is_file() or os.listdir(folder)):
        raise ConfigError(f"--out {folder}: must be a new folder, or an empty one.")
    worst, usage = export(network, options.to, folder)
    print(f"{network.title}\n{network.origin}\n\n{network.interface}\n")
    for path in sorted(folder.iterdir()):
        print(f"  {path}  {path.stat().st_size:,} bytes")
    print("\nTo use it there:\n")
    print("\n".join(f"    {line}".rstrip() for line in usage.splitlines()))
    limit = LIMITS[network.precision].forward
    print(
        "\nChecked by doing so in a process of its own that cannot import this project, on random"
    )
    print(f"inputs: {worst:.1e} of the largest output from the NumPy reference")
    print(f"(limit in {network.precision}: {limit:g}).")
    return 0


if __name__ == "__main__":
    sys.exit(signals.run_command(main))
