"""A `.keras` archive as data: its architecture and its arrays, without Keras.

The archive is a zip file of `config.json`, `metadata.json` and `model.weights.h5`. Keras would run
or read whatever classes and functions the config names; only layers of Keras' own pass here.
"""

import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from harness.core.errors import ConfigError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
LARGEST_CONFIG = 10_000_000  # bytes
LARGEST_RATIO = 100  # of unpacked to packed bytes; Keras does not pack at all
OWN_MODULES = (
    "keras", "keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints",
    "keras.activations", "keras.dtype_policies", "keras.models", "keras.src.models.functional",
    "keras.src.models.sequential", "keras.quantizers",
)  # fmt: skip
# Layers that run code, or read files, which the config names.
UNSAFE = (
    "Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "StringLookup",
    "IntegerLookup", "TextVectorization",
)  # fmt: skip
OPERATIONS = "keras.src.ops."  # such as adding two layers' outputs
DATA = {"__keras_tensor__", "__slice__", "__tuple__", "__tensor__", "__numpy__", "__ellipsis__"}


@contextmanager
def opened(path: Path) -> Iterator[tuple[dict[str, Any], Any]]:
    """Give the config of the model and its arrays as an open HDF5 file.

    Raises `ConfigError` for a config that names code of another's, and other exceptions for a
    damaged archive.
    """
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        metadata, config = (_json(archive, name) for name in (METADATA, CONFIG))
        if str(metadata["keras_version"]).startswith("2."):
            raise ConfigError(
                f"{path}: is of Keras 2, whose archives are not read; save its arrays there by "
                "model.save_weights('NAME.h5')."
            )
        config.pop("compile_config", None)  # of training: losses and metrics may be one's own
        check_classes(path, config)
        weights = Path(folder, WEIGHTS)
        # To the disk, since it also has the optimizer's memory, which nobody needs here.
        with _member(archive, WEIGHTS) as packed, weights.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        with h5py.File(weights, "r") as file:
            yield config, file


def _json(archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    with _member(archive, name, LARGEST_CONFIG) as file:
        return json.load(file)


def _member(archive: zipfile.ZipFile, name: str, largest: float = math.inf) -> Any:
    if name not in archive.namelist():
        raise ValueError(f"it has no {name}")
    info = archive.getinfo(name)
    if info.file_size > largest:
        raise ValueError(f"{name} of {info.file_size:,} bytes")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is packed in a way that Keras does not use")
    if info.file_size > LARGEST_RATIO * info.compress_size:
        raise ValueError(f"{name} of {info.file_size:,} bytes is packed in {info.compress_size:,}")
    return archive.open(info)


def check_classes(path: Path, part: Any) -> None:
    """Raise `ConfigError` if any part of a config is not of Keras' own, or may run code."""
    if isinstance(part, list):
        for item in part:
            check_classes(path, item)
    if not isinstance(part, dict):
        return
    kind, module = part.get("class_name"), str(part.get("module"))
    own = module in OWN_MODULES or module.startswith(OPERATIONS)
    registered = ">" in str(part.get("registered_name"))
    if kind is not None and kind not in DATA and (not own or registered or kind in UNSAFE):
        named = part["config"] if kind == "function" else kind
        raise ConfigError(
            f"{path}: needs {named!r}, which is no layer or function of Keras' own, or runs code; "
            "save the arrays alone by model.save_weights('NAME.weights.h5')."
        )
    for item in part.values():
        check_classes(path, item)
