"""A layer's weights in the form that other frameworks take: two biases, gates in their order."""

import numpy as np

from harness.core.arrays import Array
from harness.core.model import ModelSpec, Params

Weights = tuple[Array, Array, Array]


def acting_weights(model: ModelSpec, params: Params) -> list[Weights]:
    """Return W `(F, GU)`, U `(U, GU)` and b `(2, GU)` of each layer, gates in canonical order.

    The rows of b are the biases of the input side and of the recurrent side. `params` have no
    replica axis.
    """
    return [_layer(params, layer) for layer in range(model.layers)]


def _layer(params: Params, layer: int) -> Weights:
    names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    W, U, b, recurrent_b = (params.get(f"rnn.{layer}.{name}") for name in names)
    assert W is not None
    assert U is not None
    assert b is not None
    if b.ndim == 1:
        b = np.stack([b, np.zeros_like(b)])
        if recurrent_b is not None:  # of all gates, or of the GRU's candidate, which is the last
            b[1, -len(recurrent_b) :] = recurrent_b
    return W, U, b


def per_gate(array: Array, order: list[int], axis: int = -1) -> Array:
    """Return `array` with its gates, which lie side by side along `axis`, in the order `order`."""
    return np.concatenate([np.split(array, len(order), axis)[gate] for gate in order], axis)
