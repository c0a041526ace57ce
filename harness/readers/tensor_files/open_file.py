"""Open a file of named arrays, and say whose names they are.

The contents decide which format it is, not the file's name: safetensors, NumPy's `.npz`, PyTorch's
`.pt` or flax' msgpack.
"""

import re
import zipfile
from pathlib import Path

from safetensors import safe_open

from harness.core.arrays import Array
from harness.core.errors import ConfigError, first_line
from harness.readers.tensor_files.msgpack import open_msgpack
from harness.readers.tensor_files.npz import open_npz
from harness.readers.tensor_files.tensor_file import TensorFile, decoding, numpy_type
from harness.readers.tensor_files.torch_archive import open_torch
from harness.training.checkpoints import array_types

TYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
NAMES = {  # of a module harness/formats/from_….py: the names by which its files are known
    "torch": re.compile(r"(^|\.)weight_[ih]h(_l\d+)?$"),
    "numpy": re.compile(r"^rnn\.\d+\.(recurrent_kernel|U)$"),
    "jax": re.compile(r"(^|[./])kernel([./]value)?$"),
}


def open_file(path: Path) -> TensorFile:
    """Read which arrays a file has. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise ConfigError(f"{path}: cannot be read ({reason}); name a file of weights.") from error
    opened = _opened(path, start)
    if not opened.types:
        raise _unknown(path)
    return opened


def framework(file: TensorFile) -> str:
    """Return torch, jax or numpy: the module `from_….py` that reads arrays of these names."""
    for name, pattern in NAMES.items():
        if any(pattern.search(key) for key in file.types):
            return name
    names = ", ".join(list(file.types)[:5])
    raise ConfigError(
        f"{file.path}: has no recurrent layer by the names of PyTorch, flax or this project; it "
        f"has {names}."
    )


def _opened(path: Path, start: bytes) -> TensorFile:
    if start[8:] == b"{":
        return _open_safetensors(path)
    if start[:2] == b"PK":
        return _open_zip(path)
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise ConfigError(
            f"{path}: is a pickle, and nothing is unpickled here; save the model's state_dict with "
            "torch.save of PyTorch 1.6 or later, or as .safetensors."
        )
    if start[:6] == b"\x93NUMPY" or path.suffix == ".eqx":
        raise ConfigError(
            f"{path}: holds arrays without names, as numpy.save and equinox write them; give them "
            "PyTorch's names by safetensors.numpy.save_file (docs/commands/adopt.md)."
        )
    if b"\x81" <= start[:1] <= b"\x8f" or start[:1] in (b"\xde", b"\xdf"):  # a map
        return open_msgpack(path)
    raise _unknown(path)


def _unknown(path: Path) -> ConfigError:
    return ConfigError(
        f"{path}: has no arrays that can be read here; it must be .safetensors, .npz, a state_dict "
        "of torch.save, or flax' msgpack."
    )


def _open_safetensors(path: Path) -> TensorFile:
    with decoding(path):
        found = array_types(path)
    types = {name: (TYPES.get(kind, kind), shape) for name, (kind, shape) in found.items()}

    def load(name: str) -> Array:
        numpy_type(types[name][0])  # makes bfloat16 one of NumPy's types
        with safe_open(path, "numpy") as file:
            return file.get_tensor(name)

    return TensorFile(path=path, format="safetensors", types=types, load=load)


def _open_zip(path: Path) -> TensorFile:
    with decoding(path), zipfile.ZipFile(path) as archive:
        if any(name.endswith("data.pkl") for name in archive.namelist()):
            return open_torch(path, archive)
        return open_npz(path, archive)
