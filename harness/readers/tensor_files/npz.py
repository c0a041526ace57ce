"""The arrays of a `.npz`: their headers first, so that none is larger than it says.

No pickled object is read.
"""

import zipfile
from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.core.model import Shape
from harness.readers.tensor_files.tensor_file import TensorFile
from harness.system.physical_memory import physical_memory


def open_npz(path: Path, archive: zipfile.ZipFile) -> TensorFile:
    """Read the names, types and shapes of the arrays. A damaged one raises any error."""
    entries = [e for e in archive.infolist() if e.filename.endswith(".npy")]
    types = {e.filename.removesuffix(".npy"): _header(archive, e) for e in entries}
    return TensorFile(path=path, format="npz", types=types, load=lambda name: _npy(path, name))


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[str, Shape]:
    """Return the type and shape of an array of a `.npz`, from the array's header alone.

    Raises `ValueError`, also for an array that is longer or shorter than its header says.
    """
    with archive.open(entry) as file:
        # Of the later versions only arrays with fields have need, and a header may have 4 GB there.
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{entry.filename} is not of the version 1.0 of NumPy's format")
        shape, _, kind = np.lib.format.read_array_header_1_0(file)
        size = entry.file_size - file.tell()
    if kind.hasobject:
        return "object", shape
    if size != int(np.prod(shape, dtype=object)) * kind.itemsize:
        raise ValueError(f"{entry.filename} has {size} bytes of {kind.name} and the shape {shape}")
    if size > physical_memory():
        raise ValueError(f"{entry.filename} unpacks to more than this machine's memory")
    return kind.name, shape


def _npy(path: Path, name: str) -> Array:
    with np.load(path, allow_pickle=False) as file:
        return file[name]
