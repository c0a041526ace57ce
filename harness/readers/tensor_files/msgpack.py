"""The arrays in a file of `flax.serialization.to_bytes` or `msgpack_serialize`, without flax.

A tree of maps, whose keys are joined by `/`. An array is msgpack's extension type 1: itself a
message of shape, name of the type, and the bytes in row-major order. Arrays above 1 GiB, which flax
cuts into chunks, are read as their chunks, so that none of them is taken for a weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError, check_package
from harness.core.model import Shape
from harness.readers.tensor_files.tensor_file import REMEDY, TensorFile, decoding, numpy_type
from harness.system.physical_memory import physical_memory

NDARRAY = 1  # flax.serialization._MsgpackExtType


@dataclass(frozen=True)
class _Encoded:
    kind: np.dtype[Any]
    shape: Shape
    content: bytes


def open_msgpack(path: Path) -> TensorFile:
    """Read the arrays of a file as bytes. Raises `ConfigError`."""
    check_package(str(path), "msgpack", "msgpack", "flax")
    import msgpack

    if path.stat().st_size > physical_memory() // 4:  # msgpack copies twice
        raise ConfigError(f"{path}: is larger than a quarter of this machine's memory; {REMEDY}.")
    with decoding(path):
        # The lengths that a header claims are bounded by the length of the contents.
        tree = msgpack.unpackb(path.read_bytes(), strict_map_key=False, ext_hook=_decoded)
        arrays = dict(_flat(tree, ()))
    types = {name: (array.kind.name, array.shape) for name, array in arrays.items()}

    def load(name: str) -> Array:
        array = arrays[name]
        return np.frombuffer(array.content, array.kind).reshape(array.shape)

    return TensorFile(path=path, format="msgpack", types=types, load=load)


def _decoded(code: int, content: bytes) -> object:
    """Return an array whose bytes are as many as its shape says; raise `ValueError` otherwise."""
    import msgpack

    if code != NDARRAY:
        return None
    shape, name, values = msgpack.unpackb(content, raw=True)
    kind = numpy_type(name.decode())
    sizes = [int(size) for size in shape]
    if kind.hasobject or min(sizes, default=0) < 0:
        raise ValueError(f"an array is {kind.name} of the shape {sizes}")
    if int(np.prod(sizes, dtype=object)) * kind.itemsize != len(values):
        raise ValueError(f"an array has {len(values)} bytes and the shape {sizes}")
    return _Encoded(kind, tuple(sizes), values)


def _flat(tree: object, above: tuple[str, ...]) -> Iterator[tuple[str, _Encoded]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _flat(value, (*above, str(key)))
    elif isinstance(tree, _Encoded):
        yield "/".join(above), tree
