"""Gates in another order: found by comparing every gate of one tensor with every one of the other.

So the number of comparisons is the square of the number of gates, not that of their orders.
"""

from itertools import permutations

from harness.core.arrays import Array
from harness.core.gates import GATE_NAMES
from harness.core.layer_weights import per_gate
from harness.core.model import GATES, ModelSpec
from harness.diff.mistakes import Mistake
from harness.diff.tensors import acting, close, gate_columns, kind_of

Order = tuple[int, ...]

KNOWN: dict[str, dict[Order, str]] = {
    "rnn": {},
    "lstm": {
        (0, 3, 1, 2): "ONNX's",
        (0, 2, 1, 3): "TensorFlow 1's and Haiku's",
        (0, 1, 3, 2): "Core ML's and Caffe's",
        (2, 0, 1, 3): "Chainer's",
    },
    "gru": {(1, 0, 2): "PyTorch's"},
}


def orders(name: str, a: Array, b: Array, model: ModelSpec, precision: str) -> list[Order]:
    """Return the orders in which the gates of the stored tensor `a` give the acting tensor `b`.

    The first is that which changes nothing, where it fits.
    """
    gates = GATES[model.cell]
    if kind_of(name).startswith("head"):
        return [tuple(range(gates))] if close(a, b, precision) else []
    every = permutations(range(gates))
    if kind_of(name) == "bias":
        return [
            order
            for order in every
            if close(acting(name, per_gate(a, list(order)), model), b, precision)
        ]
    parts = gate_columns(a, model)
    fits = [[close(mine, theirs, precision) for mine in parts] for theirs in gate_columns(b, model)]
    return [order for order in every if all(fits[n][gate] for n, gate in enumerate(order))]


def in_order(model: ModelSpec, order: Order) -> Mistake:
    """Return the mistake of gates in `order`, with the name of a framework that has it."""
    names = GATE_NAMES[model.cell]
    theirs, ours = ", ".join(names[gate] for gate in order), ", ".join(names)
    known, back = KNOWN[model.cell], tuple(order.index(n) for n in range(len(order)))
    if order in known:
        return Mistake(f"the gates in {known[order]} order", f"reorder {theirs} to {ours}")
    if back in known:
        phrase = f"the gates taken for {known[back]} order, which they were not in"
        return Mistake(phrase, f"reorder {theirs} to {ours}")
    return Mistake(f"the gates in the order {theirs}", f"reorder {theirs} to {ours}")
