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

from safetensors import safe_open
from safetensors.numpy import load_file

from harness.config.damaged_files import reading
from harness.console import streams
from harness.core import file_names
from harness.core.errors import ConfigError, check_package, first_line
from harness.core.model import ModelSpec, shapes
from harness.core.tolerances import LIMITS
from harness.export.arguments import FORMATS, parser
from harness.export.check import Unfaithful, check
from harness.export.missing import why_no_weights
from harness.formats.trained_network import Network, in_float32
from harness.runs.checksums import check_file
from harness.runs.find import find_run
from harness.runs.folders import first_free
from harness.runs.network_file import one_replica
from harness.runs.network_file import read_network as read_network_file
from harness.system import signals
from harness.system.durable_files import sync_folder, sync_tree
from harness.system.own_files import make_folder, take_back_empty
from harness.tracking.journal import last

# What is fetched of a run whose directory is gone.
NEEDED = (file_names.CONFIG, file_names.NETWORK, file_names.WEIGHTS)


def read_network(directory: Path, replica: int) -> Network:
    """Read one replica of a run; raise `ConfigError` if the run has no final weights for it."""
    weights, facts = directory / file_names.FINAL_WEIGHTS, directory / file_names.NETWORK
    if not weights.exists():
        name = file_names.FINAL_WEIGHTS
        raise ConfigError(f"{directory}: has no {name}: {why_no_weights(directory)}.")
    if not facts.exists():
        raise ConfigError(f"{directory}: has no {facts.name}; train it again to export it.")
    for path in (file_names.NETWORK, file_names.FINAL_WEIGHTS):
        check_file(directory, path)
    with reading(facts):
        network = read_network_file(facts)
    with reading(weights):
        _check_shapes(weights, network.model)
        params = load_file(weights)
        replicas = len(params["rnn.0.kernel"])
    if not 0 <= replica < replicas:
        valid = "0, the run has one replica" if replicas == 1 else f"from 0 to {replicas - 1}"
        raise ConfigError(f"--replica {replica}: must be {valid}.")
    start = last(directory, "start") or {}
    origin = f"Trained as {start.get('name', directory.name)}, replica {replica} of {replicas}."
    weights_of_one = {name: value[replica] for name, value in params.items()}
    return one_replica(network, weights_of_one, replica, origin)


def _check_shapes(weights: Path, model: ModelSpec) -> None:
    """Raise `ValueError` unless the file has the model's arrays; nothing is read but its header."""
    with safe_open(weights, "np") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    if model.layers > len(found):  # which may be a billion
        raise ValueError(f"it has {len(found)} arrays, and the model {model.layers} layers")
    replicas = {shape[0] for shape in found.values() if shape}
    wanted = {name: (*replicas, *shape) for name, shape in shapes(model).items()}
    if len(replicas) != 1 or found != wanted:
        raise ValueError(f"its arrays {found} are not those of the model, {wanted}")


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
