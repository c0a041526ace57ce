"""A trained network to export: one replica, with all that its outputs depend on.

Each module `to_FORMAT.py` writes one format by `write(network, folder)`. This file decides what all
formats share. A model takes inputs and gives outputs in original units, as
`predictions.csv` holds them: it standardises, and it ends in a sigmoid if the loss is `bce`. If a
run standardised, its model takes and gives float64 and computes in the run's precision in between,
as the run did: in float32, a mean far above the deviation would leave few digits of what varies.
"""

from dataclasses import dataclass, replace

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import Weights, acting_weights
from harness.core.losses import gives_logits
from harness.core.model import ModelSpec

LAYER_NAMES = {"rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


@dataclass(frozen=True, kw_only=True)
class Network:
    """One replica of a run."""

    model: ModelSpec
    loss: str
    precision: str
    padded: bool  # trained on sequences of several lengths
    weights: dict[str, Array]  # by canonical name, without the replica axis
    x_mean: Array  # (F,)
    x_std: Array  # (F,)
    y_mean: float
    y_std: float
    origin: str  # a sentence that names the run and the replica
    rounded: bool = False  # to float32, from a run in float64

    @property
    def standardised(self) -> bool:
        """Whether inputs or targets were standardised."""
        return bool(self.x_mean.any() or (self.x_std != 1).any() or self.rescaled)

    @property
    def rescaled(self) -> bool:
        """Whether targets were standardised, so that outputs have to be scaled back."""
        return (self.y_mean, self.y_std) != (0.0, 1.0)

    @property
    def outer_precision(self) -> str:
        """The precision of inputs and outputs."""
        return "float64" if self.standardised else self.precision

    @property
    def layers(self) -> list[Weights]:
        """W `(F, GU)`, U `(U, GU)` and b `(2, GU)` of each layer, see `acting_weights`."""
        return acting_weights(self.model, self.weights)

    @property
    def title(self) -> str:
        """The network in words.

        Such as `2 LSTM layers of 32 units, then a dense layer with 1 output and a sigmoid`.
        """
        model = self.model
        count = "" if model.layers == 1 else f"{model.layers} "
        plural = "" if model.layers == 1 else "s"
        name = f"{count}{LAYER_NAMES[model.cell]} layer{plural} of {model.units} units"
        name += " (relu)" if model.activation == "relu" else ""
        name += " (reset gate before the product)" if self.resets_before else ""
        parts = [name]
        if model.head == "dense":
            plural = "" if model.outputs == 1 else "s"
            parts.append(f"a dense layer with {model.outputs} output{plural}")
        return ", then ".join(parts) + (" and a sigmoid" if gives_logits(self.loss) else "")

    @property
    def resets_before(self) -> bool:
        """Whether the cell is a GRU whose reset gate acts before the recurrent product."""
        return self.model.cell == "gru" and self.model.reset == "before"

    @property
    def interface(self) -> str:
        """Inputs and outputs in words, with shapes, precision and units; one line each."""
        model, precision = self.model, self.outer_precision
        steps = "one per time step" if model.every_step else "one per sequence, after its last step"
        shape = f"(N, T, {model.outputs})" if model.every_step else f"(N, {model.outputs})"
        units = "probabilities" if gives_logits(self.loss) else "original units"
        lines = [
            f"Inputs:  (N, T, {model.features}) {precision}: N sequences of T steps, any N and T; "
            "original units.",
            f"Outputs: {shape} {precision}: {steps}; {units}.",
        ]
        if self.standardised:
            lines.append(f"Scaling in float64 is part of the model; inside it is {self.precision}.")
        if self.rounded:
            lines.append(
                "Rounded from the run's float64: ONNX Runtime's RNN, LSTM and GRU are float32 only."
            )
        if self.padded:
            lines.append(
                "Sequences of other lengths go in separately: padding would be taken as input."
            )
        return "\n".join(lines)


def in_float32(network: Network) -> Network:
    """Return the network in float32, for ONNX Runtime, whose recurrent operators have no other."""
    if network.precision == "float32":
        return network
    weights = {name: value.astype(np.float32) for name, value in network.weights.items()}
    return replace(network, precision="float32", weights=weights, rounded=True)


def about(network: Network, usage: str) -> str:
    """Describe a model as the text of a docstring: what it is, inputs, outputs, and its use."""
    # The name of a run must not end the docstring.
    origin = network.origin.replace("\\", "/").replace('"', "'")
    indented = "\n".join(f"    {line}".rstrip() for line in usage.splitlines())
    return f"{network.title}.\n\n{origin}\n\n{network.interface}\n\n{indented}\n"


def as_markdown(network: Network, usage: str) -> str:
    """Describe a model as `about` does, but as Markdown, for formats that are no source code."""
    interface = "\n".join(f"- {line}" for line in network.interface.splitlines())
    return f"# {network.title}\n\n{network.origin}\n\n{interface}\n\n```python\n{usage}```\n"
