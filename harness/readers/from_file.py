"""Read a trained network from a file of any known kind."""

from pathlib import Path

from harness.core.errors import ConfigError
from harness.readers.foreign_network import KINDS, ForeignNetwork, Stated
from harness.readers.keras_files import from_keras
from harness.readers.onnx_files import from_onnx
from harness.readers.tensor_files import from_jax, from_numpy, from_torch
from harness.readers.tensor_files.open_file import framework, open_file

BY_NAME = {".keras": from_keras, ".h5": from_keras, ".hdf5": from_keras, ".onnx": from_onnx}
BY_ARRAYS = {"torch": from_torch, "jax": from_jax, "numpy": from_numpy}


def read_file(path: Path, stated: Stated) -> ForeignNetwork:
    """Read the network in a file; `stated` is what its user says of it.

    The end of the file's name decides whether it is Keras' or ONNX, and its contents whose arrays
    it has otherwise. Raises `ConfigError`.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise ConfigError(f"{path}: {what}; name a trained network: {KINDS}.")
    reader = BY_NAME.get(path.suffix.lower())
    if reader is None:
        reader = BY_ARRAYS[framework(open_file(path))]
    return reader.read(path, stated)
