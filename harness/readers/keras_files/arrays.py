"""The arrays in an HDF5 file of Keras, checked before any is taken into memory.

The group `vars` inside a layer's own group holds the layer's arrays, named 0, 1, … A recurrent
layer has them in its cell: kernel `(F, GU)`, recurrent kernel `(U, GU)` and, with biases, `(GU,)`;
`(2, GU)` in a GRU whose reset gate acts after the product. In the older format, `.h5`, they have
these names, see `older_format.py`. A file may be damaged or meant to harm:
nothing is followed out of it, no array is larger than what the file really holds, and attributes
are left alone, since HDF5 does not return from some that are damaged.
"""

import math
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from harness.core.arrays import Array
from harness.core.model import GATES
from harness.readers.keras_files.older_format import older_arrays

Groups = dict[str, dict[str, Any]]  # datasets by name, by the path of their layer's group
CELLS = {count: cell for cell, count in GATES.items()}
NOT_OF_LAYERS = ("optimizer", "optimizer_weights", "seed_generator")


@dataclass(frozen=True)
class Cell:
    """What the shapes of a recurrent cell's arrays say."""

    cell: str  # rnn, lstm or gru
    features: int
    units: int
    biases: tuple[int, ...] | None  # their shape
    reset: str | None  # of a GRU with biases: after or before


def layer_arrays(file: Any) -> Groups:
    """Return the datasets of each layer; raise `ValueError` for a link in place of a group."""
    datasets: dict[str, Any] = {}
    _collect(file, "", datasets, set())
    found: Groups = {}
    for path, dataset in datasets.items():
        place, _, name = path.rpartition("/")
        if place.rpartition("/")[2] == "vars":
            found.setdefault(place.removesuffix("vars").rstrip("/"), {})[name] = dataset
    return found or older_arrays(datasets)


def _collect(group: Any, place: str, found: dict[str, Any], seen: set[Any]) -> None:
    """Add the datasets in a group by their paths."""
    if group in seen:
        raise ValueError(f"{place} is in it twice")
    seen.add(group)
    for name in group:
        path = f"{place}/{name}".lstrip("/")
        if name in NOT_OF_LAYERS:
            continue
        if not name.isprintable():
            raise ValueError(f"a part of it is called {name!r}")
        if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
            raise ValueError(f"{path} is a link to another place or file")
        item = group[name]
        if isinstance(item, h5py.Group):
            _collect(item, path, found, seen)
        else:
            found[path] = item


def cell_of(datasets: dict[str, Any]) -> Cell | None:
    """Return what shapes say of a recurrent cell, or None if they are those of another layer."""
    shapes = [datasets[name].shape for name in sorted(datasets)]
    if sorted(datasets) not in (["0", "1"], ["0", "1", "2"]):
        return None
    if len(shapes[0]) != 2 or len(shapes[1]) != 2:
        return None
    (features, columns), (units, recurrent_columns) = shapes[:2]
    gates, rest = divmod(columns, units) if units else (0, 1)
    if rest or gates not in CELLS or columns != recurrent_columns or not features:
        return None
    biases = shapes[2] if len(shapes) == 3 else None
    cell = CELLS[gates]
    valid = {None: None, (columns,): "before"} | ({(2, columns): "after"} if cell == "gru" else {})
    if biases not in valid:
        return None
    return Cell(cell, features, units, biases, valid[biases] if cell == "gru" else None)


def dense_shape(datasets: dict[str, Any]) -> tuple[int, int] | None:
    """Return the shape of a dense layer's kernel, or None if the arrays are another layer's."""
    shapes = [datasets[name].shape for name in sorted(datasets)]
    if sorted(datasets) not in (["0"], ["0", "1"]) or len(shapes[0]) != 2 or 0 in shapes[0]:
        return None
    return shapes[0] if shapes[1:] in ([], [shapes[0][1:]]) else None


def is_half(dataset: Any) -> bool:
    """Whether a dataset is float16 or bfloat16, which Keras stores as two bytes without a type."""
    return dataset.dtype.itemsize == 2


def load(dataset: Any) -> Array:
    """Return the array, float16 and bfloat16 as float32; raise `ValueError` if it is not sound."""
    name, kind = dataset.name.lstrip("/"), dataset.dtype
    size, held = kind.itemsize, dataset.id.get_storage_size()
    bfloat16 = kind == np.dtype("V2")  # Keras stores nothing else without a type
    if not bfloat16 and kind not in (np.float16, np.float32, np.float64):
        raise ValueError(f"{name} holds {kind} and no real numbers")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{name} has its numbers in another file or dataset")
    declared = math.prod(dataset.shape) * size
    if dataset.chunks or held != declared:
        raise ValueError(f"{name} declares {declared:,} bytes and holds {held:,}")
    array = dataset[...]
    if bfloat16:  # the upper half of a float32
        array = (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array.astype(np.float32) if size == 2 else array
