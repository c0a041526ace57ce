"""Read an array of a `.npy` file whose header is believed only where the file bears it out."""

import math
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from harness.core.arrays import Array
from harness.system.physical_memory import physical_memory

HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npy(path: Path, kinds: str) -> Array:
    """Return an array of finite numbers, whose dtype is of one of NumPy's `kinds`.

    No memory is taken before the header agrees with the file's size. Raises `ValueError` and
    `OSError`.
    """
    with path.open("rb") as file:
        version = npy.read_magic(file)
        if version not in HEADERS:
            raise ValueError(f"is of .npy version {version}; write 1.0 or 2.0")
        shape, _, dtype = HEADERS[version](file)
        if dtype.kind not in kinds:
            raise ValueError(f"has {dtype}; it must have {_words(kinds)}")
        size = file.tell() + math.prod(shape) * dtype.itemsize
        if size != path.stat().st_size:
            raise ValueError(f"has {path.stat().st_size} bytes, and its header says {size}")
        if size > physical_memory():
            raise ValueError(f"has {size / 2**30:,.0f} GiB, more than this machine's memory")
        file.seek(0)
        array = npy.read_array(file, allow_pickle=False)
    if not np.isfinite(array).all():
        raise ValueError("has a value that is not finite")
    return array


def _words(kinds: str) -> str:
    names = {"f": "floating-point numbers", "i": "whole numbers", "u": "bytes (uint8)"}
    return " or ".join(names[kind] for kind in kinds if kind in names)
