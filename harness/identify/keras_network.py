"""The network of a Keras recording: layers from the model's config, arrays by their paths."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness.config.damaged_files import reading
from harness.core.errors import ConfigError
from harness.formats.trained_network import Network
from harness.identify.refusals import check_biases
from harness.readers.foreign_network import Stated
from harness.readers.keras_files.chain import dense_config, find_chain
from harness.readers.keras_files.graph import Layer, layers_of
from harness.readers.keras_files.options import parts_of
from harness.readers.keras_files.parts import network_of
from harness.recorder.recording import Recording

NAMES = ("kernel", "recurrent_kernel", "bias")


def read_keras(path: Path, recording: Recording, stated: Stated) -> Network:
    """Return the network; `path` is the file of the recording's weights. Raises `ConfigError`."""
    with _reading(path):
        said = recording.stated
        config = {"class_name": said["model_class"], "config": said["model"]}
        chain = find_chain(path, layers_of(path, config), stated)
        parts = parts_of(path, chain, stated)
        taken = dict(zip(parts.cells, chain.stack, strict=True))
        if chain.head is not None and parts.head is not None:
            taken[parts.head] = chain.head
        groups = {group: _arrays(layer, recording) for group, layer in taken.items()}
        found = network_of(path, groups, parts, np.asarray)[0]
    check_biases(path.parent, [layer.name for layer in taken.values() if not _has_bias(layer)])
    return found


@contextmanager
def _reading(path: Path) -> Generator[None]:
    """As `reading`, but what no network here has is no damage."""
    refused: ConfigError | None = None
    with reading(path, "record the training again (docs/recording.md)"):
        try:
            yield
        except ConfigError as error:
            refused = error
    if refused is not None:
        raise refused


def _has_bias(layer: Layer) -> bool:
    return bool((dense_config(layer) or layer.config).get("use_bias", True))


def _arrays(layer: Layer, recording: Recording) -> dict[str, Any]:
    """Return the arrays of a layer in the order in which a file of Keras numbers them."""
    own = {
        path.rpartition("/")[2]: values
        for path, values in recording.initial.items()
        if layer.name in path.split("/")
    }
    return {str(n): own[name] for n, name in enumerate(n for n in NAMES if n in own)}
