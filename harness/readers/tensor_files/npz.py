"""The arrays of a `.npz`: their headers first, so that none is larger than it says.

No pickled object is read.
"""

import zipfile
from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.readers.tensor_files.tensor_file import TensorFile
from harness.system.npz_header import array_header


def open_npz(path: Path, archive: zipfile.ZipFile) -> TensorFile:
    """Read the names, types and shapes of the arrays. A damaged one raises any error."""
    entries = [e for e in archive.infolist() if e.filename.endswith(".npy")]
    types = {e.filename.removesuffix(".npy"): array_header(archive, e) for e in entries}
    return TensorFile(path=path, format="npz", types=types, load=lambda name: _npy(path, name))


def _npy(path: Path, name: str) -> Array:
    with np.load(path, allow_pickle=False) as file:
        return file[name]
