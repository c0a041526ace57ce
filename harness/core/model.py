"""The network that every backend builds: its names, shapes and counts.

A stack of recurrent layers with an optional dense head. Weights have canonical names and Keras'
layout, kernels `(in, out)`, gates side by side: LSTM i, f, c, o; GRU z, r, h. Every weight array
has a leading replica axis. Biases depend on the semantics:

    rnn, lstm  single     bias (gates·units)
               double     bias and recurrent_bias (gates·units); only their sum acts
    gru        single     bias (3·units), on the input side
               candidate  the same, and recurrent_bias (units), on the candidate's recurrent side
               double     bias (2, 3·units): input side, recurrent side
"""

import math
from dataclasses import dataclass, replace

import numpy as np

Array = np.ndarray
Params = dict[str, Array]
Shape = tuple[int, ...]

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class ModelSpec:
    """The network's structure. `outputs` is the head's width, or `units` where there is no head."""

    cell: str
    features: int
    units: int
    layers: int
    activation: str
    returns: str
    head: str
    outputs: int
    biases: str = "single"  # trained bias vectors of a layer: see above
    reset: str = "after"  # of the GRU: semantics.gru_reset

    @property
    def every_step(self) -> bool:
        return self.returns == "every_step"


def shapes(model: ModelSpec) -> dict[str, Shape]:
    """Canonical parameter names and their shapes, without the replica axis, in a fixed order."""
    wide = GATES[model.cell] * model.units
    two_rows = model.cell == "gru" and model.biases == "double"
    result: dict[str, Shape] = {}
    for layer in range(model.layers):
        fan_in = model.features if layer == 0 else model.units
        result[f"rnn.{layer}.kernel"] = (fan_in, wide)
        result[f"rnn.{layer}.recurrent_kernel"] = (model.units, wide)
        result[f"rnn.{layer}.bias"] = (2, wide) if two_rows else (wide,)
        if model.biases == "candidate":
            result[f"rnn.{layer}.recurrent_bias"] = (model.units,)
        elif model.biases == "double" and not two_rows:
            result[f"rnn.{layer}.recurrent_bias"] = (wide,)
    if model.head == "dense":
        result["head.kernel"] = (model.units, model.outputs)
        result["head.bias"] = (model.outputs,)
    return result


def count(model: ModelSpec) -> int:
    """Trained parameters of one replica: 1,121 for a SimpleRNN of 32 units with one output."""
    first = shapes(replace(model, layers=min(model.layers, 2)))  # all others are as the second
    sizes = {name: math.prod(shape) for name, shape in first.items()}
    second = sum(size for name, size in sizes.items() if name.startswith("rnn.1."))
    return sum(sizes.values()) + max(model.layers - 2, 0) * second


def formulas(model: ModelSpec) -> dict[str, str]:
    """How each parameter's count comes about, in words of the field: `"features × 4·units"`."""
    gates = GATES[model.cell]
    wide = "units" if gates == 1 else f"{gates}·units"
    sizes = {"kernel": f"units × {wide}", "recurrent_kernel": f"units × {wide}"}
    sizes |= {"bias": wide, "recurrent_bias": "units" if model.biases == "candidate" else wide}
    result = {}
    for name, shape in shapes(model).items():
        own = sizes[name.rpartition(".")[2]]
        result[name] = f"2 × {own}" if len(shape) == 2 and name.endswith("bias") else own
    return result | {
        "rnn.0.kernel": f"features × {wide}",
        "head.kernel": "units × outputs",
        "head.bias": "outputs",
    }
