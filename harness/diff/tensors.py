"""The weights of two networks side by side, in a form in which equal numbers act alike.

Of biases only what acts can be compared: the sum of both rows, and of a GRU that resets after the
product, the candidate's recurrent bias for itself, as a fourth block `h of the state`.
"""

import numpy as np

from harness.core.arrays import Array
from harness.core.difference import relative
from harness.core.gates import GATE_NAMES, layer_of
from harness.core.model import GATES, ModelSpec, Params
from harness.core.rounding import MARGIN
from harness.formats.trained_network import Network


def stored(network: Network) -> Params:
    """Return the weights in float64 by canonical name, biases as rows `(2, GU)`."""
    tensors: Params = {}
    for layer, (W, U, b) in enumerate(network.layers):
        tensors |= {f"rnn.{layer}.kernel": W, f"rnn.{layer}.recurrent_kernel": U}
        tensors[f"rnn.{layer}.bias"] = b
    tensors |= {name: v for name, v in network.weights.items() if name.startswith("head.")}
    return {name: value.astype(np.float64) for name, value in tensors.items()}


def acting(name: str, tensor: Array, model: ModelSpec) -> Array:
    """Return what of a stored tensor acts: of a layer's bias `(GU,)`, of the GRU `(4·U,)`."""
    if kind_of(name) != "bias":
        return tensor
    if model.cell != "gru":
        return tensor.sum(axis=0)
    both, U = tensor.sum(axis=0), model.units
    if model.reset == "before":  # both rows act in the same place
        return np.concatenate([both, np.zeros(U)])
    return np.concatenate([both[: 2 * U], tensor[0, 2 * U :], tensor[1, 2 * U :]])


def kind_of(name: str) -> str:
    """Return `kernel` of `rnn.0.kernel`; the head's names are kinds of their own."""
    return name if layer_of(name) is None else name.rpartition(".")[2]


def blocks(name: str, model: ModelSpec) -> list[str]:
    """Return the names of the gates whose columns lie side by side in an acting tensor."""
    if layer_of(name) is None:
        return [""]
    extra = ["h of the state"] if model.cell == "gru" and kind_of(name) == "bias" else []
    return GATE_NAMES[model.cell] + extra


def limit(precision: str) -> float:
    """Return how far two copies of a weight may be apart, as a share of the largest in the tensor.

    It is `MARGIN` times the gap between two copies that are rounded one unit up and one down.
    """
    return MARGIN * 2 * float(np.finfo(precision).eps)


def largest_difference(a: Array, b: Array) -> float:
    """Return the largest difference as a share of the largest entry of both."""
    sizes = [np.abs(v[np.isfinite(v)]).max(initial=0.0) for v in (a, b)]
    return float(relative(a, b, np.array(max(sizes))).max(initial=0.0))


def close(a: Array, b: Array, precision: str) -> bool:
    """Return whether two tensors are equal but for rounding."""
    if a.shape != b.shape:
        return False
    few = (slice(0, 2),) * a.ndim  # most pairs differ at once
    if a.size > 64 and not largest_difference_within(a, b, few, precision):
        return False
    return largest_difference(a, b) <= limit(precision)


def largest_difference_within(a: Array, b: Array, part: tuple[slice, ...], precision: str) -> bool:
    """Return whether a part is equal but for rounding of the whole's largest entry."""
    largest = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        apart = np.abs(a[part] - b[part])
    return not (apart > 2 * limit(precision) * largest).any()


def gate_columns(tensor: Array, model: ModelSpec) -> list[Array]:
    """Split a kernel into the blocks of its gates."""
    return np.split(tensor, GATES[model.cell], axis=1)
