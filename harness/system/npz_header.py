"""The header of an array in a `.npz`, read before memory is taken for the array."""

import zipfile

import numpy as np

from harness.core.model import Shape
from harness.system.physical_memory import physical_memory


def array_header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[str, Shape]:
    """Return the type and shape of an array of a `.npz`, from the array's header alone.

    The type of pickled objects is `object`. Raises `ValueError`, also for an array that is longer
    or shorter than its header says.
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
