"""Networks of Keras 3: `.keras` archives, and files of arrays alone, `.weights.h5`.

An archive says what its layers are; `keras_graph.py`, `keras_chain.py` and `keras_options.py` read
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
from harness.formats import keras_archive, keras_weights
from harness.formats.foreign_network import ForeignNetwork, Stated
from harness.formats.keras_arrays import layer_arrays
from harness.formats.keras_chain import Chain, find_chain
from harness.formats.keras_graph import layers_of
from harness.formats.keras_options import parts_of
from harness.formats.keras_parts import Parts, network_of
from harness.formats.trained_network import Network

DAMAGED = (
    *READ_ERRORS, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
SAVE_ANEW = "load it in Keras 3 and save it anew by model.save('NAME.keras')"
LOAD = """\
import keras

saved = keras.saving.load_model({file!r}, compile=False, safe_mode=True)
"""
LOAD_IN_FLOAT32 = """\
import json
import zipfile

import keras

config = zipfile.ZipFile({file!r}).read("config.json").decode()
for half in ("mixed_float16", "mixed_bfloat16", "float16", "bfloat16"):
    config = config.replace(f'"{{half}}"', '"float32"')
saved = keras.saving.deserialize_keras_object(json.loads(config), safe_mode=True)
saved.load_weights({file!r})
"""
USE = """\
layers = [saved.get_layer(name) for name in {names!r}]
for layer in layers:
    layer.stateful = layer.unroll = False  # any number of sequences, of any number of steps
model = keras.Sequential([keras.Input((None, {features}), dtype={precision!r}), *layers])
y = model.predict_on_batch(x)
"""


def read(path: Path, stated: Stated) -> ForeignNetwork:
    """Read a network from a `.keras` archive or a `.weights.h5` file."""
    with _in_one_line(path):
        if zipfile.is_zipfile(path):
            return _read_archive(path, stated)
        if h5py.is_hdf5(path):
            return _read_arrays(path, stated)
        path.open("rb").close()  # says why a file cannot be read, where that is the reason
    raise ConfigError(
        f"{path}: is neither a .keras archive nor a .weights.h5 file, or broke off; give one that "
        "Keras 3 saved by model.save or model.save_weights."
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
    with keras_archive.opened(path) as (config, file):
        chain = find_chain(path, layers_of(path, config), stated)
        parts = parts_of(path, chain, stated)
        network, notes = network_of(path, layer_arrays(file), parts)
    return ForeignNetwork(network=network, usage=_usage(path, chain, parts, network), notes=notes)


def _usage(path: Path, chain: Chain, parts: Parts, network: Network) -> str:
    load = (LOAD_IN_FLOAT32 if parts.half else LOAD).format(file=str(path.absolute()))
    names = [layer.name for layer in chain.taken]
    features = network.model.features
    return load + USE.format(names=names, features=features, precision=network.precision)


def _read_arrays(path: Path, stated: Stated) -> ForeignNetwork:
    with h5py.File(path, "r") as file:
        if {"model_config", "layer_names"} & set(file.attrs) or "model_weights" in file:
            raise ConfigError(f"{path}: is of Keras' older HDF5 format; {SAVE_ANEW}.")
        groups = layer_arrays(file)
        parts = keras_weights.parts_in(path, groups, stated)
        network, notes = network_of(path, groups, parts)
        usage = keras_weights.usage_of(path, groups, parts, network)
    return ForeignNetwork(network=network, usage=usage, notes=notes)
