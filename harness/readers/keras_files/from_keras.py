"""Networks of Keras: `.keras` archives, and files of arrays alone, `.weights.h5` or `.h5`.

An archive says what its layers are; `graph.py`, `chain.py` and `options.py` read
that from its config. Of arrays alone names and shapes decide, in `keras_weights.py`. Keras itself
loads the file only where the network is used, and in safe mode.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from harness.config.damaged_files import READ_ERRORS
from harness.core.errors import ConfigError, first_line
from harness.readers.foreign_network import ForeignNetwork, Stated
from harness.readers.keras_files import archive
from harness.readers.keras_files.arrays import layer_arrays
from harness.readers.keras_files.bare_weights import parts_in
from harness.readers.keras_files.chain import find_chain
from harness.readers.keras_files.graph import layers_of
from harness.readers.keras_files.older_format import GATES_NOTE, is_older
from harness.readers.keras_files.options import parts_of
from harness.readers.keras_files.parts import network_of
from harness.readers.keras_files.usage import usage_of_archive, usage_of_arrays

DAMAGED = (
    *READ_ERRORS, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
REMEDY = "save the model anew by model.save('NAME.keras')"


def read(path: Path, stated: Stated) -> ForeignNetwork:
    """Read a network from a `.keras` archive or a `.weights.h5` file."""
    with _in_one_line(path):
        if zipfile.is_zipfile(path):
            return _read_archive(path, stated)
        if h5py.is_hdf5(path):  # of a whole model, too: its arrays alone are read
            return _read_arrays(path, stated)
        path.open("rb").close()  # says why a file cannot be read, where that is the reason
    raise ConfigError(
        f"{path}: is neither a .keras archive nor an .h5 file, or broke off; give one that Keras "
        "saved by model.save or model.save_weights."
    )


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    """Raise `ConfigError` for whatever the block meets in a file of another's."""
    try:
        yield
    except ConfigError:
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except DAMAGED as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else first_line(error)
        reason = f"no {error}" if type(error) is KeyError else reason
        raise ConfigError(f"{path}: is damaged ({reason}); copy or save it anew.") from error


def _read_archive(path: Path, stated: Stated) -> ForeignNetwork:
    if path.suffix != ".keras":
        raise ConfigError(f"{path}: is a zip archive; rename it to NAME.keras if Keras saved it.")
    with archive.opened(path) as (config, file):
        chain = find_chain(path, layers_of(path, config), stated)
        parts = parts_of(path, chain, stated)
        network, notes = network_of(path, layer_arrays(file), parts)
    usage = usage_of_archive(path, [layer.name for layer in chain.taken], network, parts.half)
    return ForeignNetwork(network=network, usage=usage, notes=notes)


def _read_arrays(path: Path, stated: Stated) -> ForeignNetwork:
    with h5py.File(path, "r") as file:
        groups = layer_arrays(file)
        if not groups:
            raise ConfigError(f"{path}: has no arrays of a layer; {REMEDY}.")
        parts = parts_in(path, groups, stated)
        network, notes = network_of(path, groups, parts)
        if is_older(groups) and parts.cell != "rnn":
            notes.append(GATES_NOTE)
        usage = usage_of_arrays(path, groups, parts, network)
    return ForeignNetwork(network=network, usage=usage, notes=notes)
