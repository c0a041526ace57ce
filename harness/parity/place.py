"""The place of a difference: step, tensor, layer, gate and time step."""

from dataclasses import dataclass, field

from harness.core.model import ModelSpec
from harness.parity.difference import Difference

GATE_NAMES = {"rnn": [""], "lstm": ["i", "f", "c", "o"], "gru": ["z", "r", "h"]}


@dataclass(frozen=True, kw_only=True)
class Place:
    """The first step, tensor, layer, gate and time step beyond a limit.

    A layer, gate or time step is None where the stage has none. `blocks` are all `(tensor, gate)`
    that are involved, the worst first.
    """

    stage: str
    step: int  # from 1
    tensor: str
    layer: int | None = None
    gate: str | None = None
    time_step: int | None = None
    blocks: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""

    def sentence(self) -> str:
        """Return the place as `step 1, gradients: rnn.0.kernel, gate f, time step 0`.

        Steps count from 1, time steps from 0.
        """
        parts = [f"step {self.step}, {self.stage}: {self.tensor}"]
        parts += [f"layer {self.layer}"] if self.layer is not None else []
        parts += [f"gate {self.gate}"] if self.gate else []
        parts += [f"time step {self.time_step}"] if self.time_step is not None else []
        return ", ".join(parts) + (f" ({self.note})" if self.note else "")


def place_of_tensor(difference: Difference, model: ModelSpec, tensor: str, step: int) -> Place:
    """Return the place of a difference of which the tensor and the column are known."""
    gate = gate_of(model, tensor, difference.index[-1])
    return Place(
        stage=difference.stage,
        step=step + 1,
        tensor=difference.tensor,
        layer=layer_of(tensor),
        gate=gate,
        note=difference.note,
    )


def layer_of(tensor: str) -> int | None:
    """Return the layer of a tensor, 2 for `rnn.2.kernel`, or None for the head."""
    parts = tensor.split(".")
    return int(parts[1]) if parts[0] == "rnn" and len(parts) == 3 else None


def gate_of(model: ModelSpec, tensor: str, column: int) -> str | None:
    """Return the gate of a column of a layer's tensor; None for the head and a simple cell."""
    if layer_of(tensor) is None or model.cell == "rnn":
        return None
    if tensor.endswith("recurrent_bias") and model.biases == "candidate":
        return "h"
    return GATE_NAMES[model.cell][column // model.units]
