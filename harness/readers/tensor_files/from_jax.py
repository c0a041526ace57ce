"""JAX: the parameters of flax' recurrent cells, of linen or nnx, in safetensors, npz or msgpack.

Kernels are `(in, out)`. nnx lays the gates of its GRU side by side in the order r, z, n. linen's
GRU has a second bias on the candidate's recurrent side, and nnx' has none.
"""

from pathlib import Path

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import per_gate
from harness.readers.foreign_network import ForeignNetwork, Stated
from harness.readers.tensor_files.choose_layers import choose
from harness.readers.tensor_files.flax_layers import layers_of
from harness.readers.tensor_files.flax_usage import usage
from harness.readers.tensor_files.network_of_layers import network_of
from harness.readers.tensor_files.open_file import open_file
from harness.readers.tensor_files.recurrent_stacks import Layer

GATE_ORDER = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}  # of nnx' kernels


def read(path: Path, stated: Stated) -> ForeignNetwork:
    """Read the recurrent stack of flax' parameters, and its head. Raises `ConfigError`."""
    file = open_file(path)
    chosen = choose(file, layers_of(file), stated)

    def weights(layer: Layer, precision: str) -> dict[str, Array]:
        return _canonical(layer, [file.array(name, precision) for name in layer.arrays])

    network = network_of(file, chosen, stated, weights)
    return ForeignNetwork(
        network=network,
        usage=usage(file, chosen, network),
        notes=[
            *chosen.notes,
            "Gates and activations are taken to be flax' own, and no cell to be residual.",
        ],
        filled=chosen.filled,
    )


def _canonical(layer: Layer, arrays: list[Array]) -> dict[str, Array]:
    """Return flax' arrays of a layer by canonical names, gates side by side in canonical order."""
    order = GATE_ORDER[layer.cell]
    gates = len(order)
    if len(arrays) == 3 and layer.cell != "rnn":  # nnx
        arrays = [per_gate(values, order) for values in arrays]
        return dict(zip(("kernel", "recurrent_kernel", "bias"), arrays, strict=True))
    weights = {
        "kernel": np.hstack(arrays[:gates]),
        "recurrent_kernel": np.hstack(arrays[gates : 2 * gates]),
        "bias": np.hstack(arrays[2 * gates : 3 * gates]),
    }
    return weights | ({"recurrent_bias": arrays[-1]} if layer.cell == "gru" else {})
