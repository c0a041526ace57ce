"""A layer's weights as other frameworks take them: the biases that act, gates in another order."""

import numpy as np

from harness.core.model import Array, ModelSpec, Params

Weights = tuple[Array, Array, Array]


def acting_weights(model: ModelSpec, params: Params) -> list[Weights]:
    """Of each layer W `(F, GU)`, U `(U, GU)` and b `(2, GU)`: the biases that act on the input side
    and on the recurrent side, gates in canonical order. `params` have no replica axis."""
    return [_layer(params, layer) for layer in range(model.layers)]


def _layer(params: Params, layer: int) -> Weights:
    names = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    W, U, b, second = (params.get(f"rnn.{layer}.{name}") for name in names)
    assert W is not None
    assert U is not None
    assert b is not None
    if b.ndim == 1:
        b = np.stack([b, np.zeros_like(b)])
        if second is not None:  # of all gates, or of the GRU's candidate, which is the last
            b[1, -len(second) :] = second
    return W, U, b


def per_gate(array: Array, order: list[int], axis: int = -1) -> Array:
    """The gates of `array`, side by side along `axis`, in another order."""
    return np.concatenate([np.split(array, len(order), axis)[gate] for gate in order], axis)
