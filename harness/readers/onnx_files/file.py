"""An ONNX file as its parts, read without trusting it.

Arrays are read one by one when they are asked for, so a large model costs no more memory than the
network taken from it. Arrays in external files are read only from the model's own folder.
"""

from __future__ import annotations  # onnx is imported only where a model is read

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.arrays import Array
from harness.core.errors import ConfigError, check_package, first_line
from harness.readers.foreign_network import refuse

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

FIRST_OPSET = 7  # of 2018; before it, operators broadcast and kept outputs by other rules
ROOM = 100_000  # elements that a computed constant may have beside the bytes of the file


class OnnxFile:
    """The graph of an ONNX file, its constants by name, and its opset."""

    def __init__(self, path: Path) -> None:
        check_package(str(path), "onnx", "onnx", "onnx")
        self.path = path
        self.model = _load(path)
        self.graph = self.model.graph
        self.room = ROOM + path.stat().st_size + self._check_external()
        _check(path)
        self.tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        self.inputs = [i for i in self.graph.input if i.name not in self.tensors]
        self.outputs = [output.name for output in self.graph.output]
        self.bound: dict[int, int] = {}  # sizes of the input's axes that only nodes tell
        self.opset = max((o.version for o in self.model.opset_import if not o.domain), default=0)
        if self.opset < FIRST_OPSET:
            raise ConfigError(
                f"{path}: is of opset {self.opset}: must be {FIRST_OPSET} or later; convert it "
                "with onnx.version_converter."
            )

    def sizes(self, info: ValueInfoProto) -> list[int | None]:
        """Return the sizes of an input's axes, None for those that the graph leaves open."""
        if not info.type.tensor_type.HasField("shape"):
            return [self.bound.get(n) for n in range(3)]
        dims = enumerate(info.type.tensor_type.shape.dim)
        return [d.dim_value if d.HasField("dim_value") else self.bound.get(n) for n, d in dims]

    def refuse(self, node: NodeProto, what: str, remedy: str = "") -> ConfigError:
        """Return the error for a node that cannot be expressed: by its name and operator."""
        return refuse(self.path, label(node), what, remedy)

    def array(self, tensor: TensorProto) -> Array:
        """Return a tensor of the file as an array; raise `ConfigError` if its data do not fit."""
        from onnx import numpy_helper

        try:
            return numpy_helper.to_array(tensor, str(self.path.parent))
        except (ValueError, TypeError, KeyError, OSError, MemoryError) as error:
            name = tensor.name or "a constant"
            raise ConfigError(
                f"{self.path}: is damaged ({name}: {first_line(error)}); export it again."
            ) from error

    def _check_external(self) -> int:
        """Check every reference to another file, and return how many bytes they name together."""
        from onnx.external_data_helper import uses_external_data

        constants = [a.t for node in self.graph.node for a in node.attribute if a.HasField("t")]
        tensors = [*self.graph.initializer, *constants]
        return sum(_external_size(self.path, t) for t in tensors if uses_external_data(t))


def label(node: NodeProto) -> str:
    """Return a node's name and operator; a node without a name goes by its first output."""
    name = node.name or f"of {next(filter(None, node.output), 'nothing')}"
    return f"node {name} ({node.op_type})"


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of a node's attribute, text as `str`."""
    from onnx import helper

    for found in node.attribute:
        if found.name == name:
            value = helper.get_attribute_value(found)
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return default


def _load(path: Path) -> ModelProto:
    """Parse a file; external files are not opened."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({first_line(error)}).") from error
    except (DecodeError, ValueError) as error:
        raise ConfigError(f"{path}: is no ONNX file, or is damaged: export it again.") from error
    return model


def _check(path: Path) -> None:
    """Raise `ConfigError` for a file that the standard's own checker refuses."""
    import onnx

    try:
        onnx.checker.check_model(str(path))
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"{path}: is no valid ONNX file ({first_line(error)}); export it again."
        ) from error


def _external_size(path: Path, tensor: TensorProto) -> int:
    """Return the bytes of a tensor in another file, which must lie in the model's folder."""
    from onnx import helper

    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    place = (path.parent / location).resolve()
    if not place.is_relative_to(path.parent.resolve()):
        raise ConfigError(
            f"{path}: {tensor.name} lies in {location}, outside the model's folder: put the "
            "data beside the model and export it again."
        )
    if not place.is_file():
        raise ConfigError(f"{path}: {tensor.name} lies in {location}, which is missing.")
    size = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    start, length = int(entries.get("offset", 0)), int(entries.get("length", size))
    available = place.stat().st_size
    if length != size or start < 0 or start + size > available:
        raise ConfigError(
            f"{path}: {tensor.name} is {list(tensor.dims)}, {size:,} bytes, which are not all in "
            f"{location}; copy that file again."
        )
    return size
