"""The state_dict in a file of `torch.save`, by PyTorch's loader that takes tensors alone.

`torch.load(weights_only=True)` builds nothing but tensors and plain containers, and `mmap=True`
leaves the arrays on the disk. PyTorch writes its archives uncompressed; a compressed one is
refused, so that no entry can be larger than the file.
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.arrays import Array
from harness.core.errors import ConfigError, check_package
from harness.core.model import Shape
from harness.readers.tensor_files.tensor_file import REMEDY, TensorFile

WRAPPERS = ("state_dict", "model", "model_state_dict")
SAVE = "save the model's state_dict alone: torch.save(model.state_dict(), path)"


def open_torch(path: Path, archive: zipfile.ZipFile) -> TensorFile:
    """Read the names, types and shapes of a state_dict. Raises `ConfigError`."""
    check_package(str(path), "torch", "torch")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise ConfigError(f"{path}: is compressed, which PyTorch's files are not; {REMEDY}.")
    loaded = _loaded(path)
    inside = next((key for key in WRAPPERS if _is_mapping(loaded, key)), "")
    tensors = _tensors(loaded[inside] if inside else loaded)
    if not tensors:
        raise ConfigError(f"{path}: holds no state_dict; {SAVE}.")
    types = {name: _type(path, name, tensor) for name, tensor in tensors.items()}

    def load(name: str) -> Array:
        tensor = tensors[name].detach()
        return (tensor.float() if types[name][0] == "bfloat16" else tensor).numpy()

    return TensorFile(path=path, format="torch", types=types, load=load, inside=inside)


def _loaded(path: Path) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch's own old types
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        if "Unsupported" not in str(error) and "TorchScript" not in str(error):
            raise
        raise ConfigError(
            f"{path}: holds Python objects, and nothing is unpickled here; {SAVE}."
        ) from error


def _is_mapping(loaded: object, key: str) -> bool:
    return isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping)


def _tensors(state: object) -> dict[str, Any]:
    """Return the dense tensors of a state_dict by name; what else it holds is left out."""
    import torch

    if not isinstance(state, Mapping):
        return {}
    return {
        name: value
        for name, value in state.items()
        if isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_quantized
    }


def _type(path: Path, name: str, tensor: Any) -> tuple[str, Shape]:
    """Return type and shape; strides can make a tensor larger than what the file holds."""
    if tensor.numel() * tensor.element_size() > path.stat().st_size:
        raise ConfigError(f"{path}: {name} is larger than the file; {REMEDY}.")
    return str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)
