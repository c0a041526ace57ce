"""The network that every backend builds: names, shapes and counts of its parameters.

A stack of recurrent layers with an optional dense head. Weights have canonical names and Keras'
layout, kernels `(in, out)`, gates side by side: LSTM i, f, c, o; GRU z, r, h. Every weight array
has a leading replica axis. Biases depend on the semantics:

    rnn, lstm  single     bias (gates·units)
               double     bias and recurrent_bias (gates·units); only their sum acts
    gru        single     bias (3·units), on the input side
               candidate  bias (3·units); recurrent_bias (units), on the candidate's recurrent side
               double     bias (2, 3·units): input side, recurrent side
"""

import math
from dataclasses import dataclass, replace

from harness.core.arrays import Array

Params = dict[str, Array]
Shape = tuple[int, ...]

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """The network's structure."""

    cell: str  # rnn, lstm or gru
    features: int
    units: int
    layers: int
    activation: str  # tanh or relu
    returns: str  # last or every_step
    head: str  # dense or none
    outputs: int  # the head's width, or `units` without a head
    biases: str = "single"  # trained bias vectors of a layer: see the module's docstring
    reset: str = "after"  # of the GRU: semantics.gru_reset

    @property
    def every_step(self) -> bool:
        """Whether the network returns an output at every time step, not only at the last."""
        return self.returns == "every_step"


def shapes(model: ModelSpec) -> dict[str, Shape]:
    """Return the canonical parameter names and their shapes, in a fixed order.

    Shapes have no replica axis.
    """
    gate_units = GATES[model.cell] * model.units
    two_rows = model.cell == "gru" and model.biases == "double"
    result: dict[str, Shape] = {}
    for layer in range(model.layers):
        fan_in = model.features if layer == 0 else model.units
        result[f"rnn.{layer}.kernel"] = (fan_in, gate_units)
        result[f"rnn.{layer}.recurrent_kernel"] = (model.units, gate_units)
        result[f"rnn.{layer}.bias"] = (2, gate_units) if two_rows else (gate_units,)
        if model.biases == "candidate":
            result[f"rnn.{layer}.recurrent_bias"] = (model.units,)
        elif model.biases == "double" and not two_rows:
            result[f"rnn.{layer}.recurrent_bias"] = (gate_units,)
    if model.head == "dense":
        result["head.kernel"] = (model.units, model.outputs)
        result["head.bias"] = (model.outputs,)
    return result


def count_params(model: ModelSpec) -> int:
    """Return the number of trained parameters of one replica.

    A SimpleRNN layer of 32 units with one feature and one output has 1,121.
    """
    # All layers after the first have the second's shapes, and there may be millions of them.
    first_two = shapes(replace(model, layers=min(model.layers, 2)))
    sizes = {name: math.prod(shape) for name, shape in first_two.items()}
    second_layer = sum(size for name, size in sizes.items() if name.startswith("rnn.1."))
    return sum(sizes.values()) + max(model.layers - 2, 0) * second_layer


def operations_per_step(model: ModelSpec) -> int:
    """Return the floating-point operations of a training step, per sequence and time step.

    A product has a multiplication and an addition for each weight; going back costs twice as much
    as going forward.
    """
    gates = GATES[model.cell] * model.units
    inputs = [model.features, *[model.units] * (model.layers - 1)]
    return sum(6 * (size + model.units) * gates for size in inputs)


def param_formulas(model: ModelSpec) -> dict[str, str]:
    """Return a formula for the size of each parameter, such as `"features × 4·units"`."""
    gates = GATES[model.cell]
    gate_units = "units" if gates == 1 else f"{gates}·units"
    sizes = {"kernel": f"units × {gate_units}", "recurrent_kernel": f"units × {gate_units}"}
    sizes["bias"] = gate_units
    sizes["recurrent_bias"] = "units" if model.biases == "candidate" else gate_units
    result: dict[str, str] = {}
    for name, shape in shapes(model).items():
        size = sizes[name.rpartition(".")[2]]
        result[name] = f"2 × {size}" if len(shape) == 2 and name.endswith("bias") else size
    return result | {
        "rnn.0.kernel": f"features × {gate_units}",
        "head.kernel": "units × outputs",
        "head.bias": "outputs",
    }
