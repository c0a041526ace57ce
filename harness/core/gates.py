"""The names of gates, and to which layer and gate an entry of a canonical tensor belongs."""

from harness.core.model import ModelSpec

GATE_NAMES = {"rnn": [""], "lstm": ["i", "f", "c", "o"], "gru": ["z", "r", "h"]}


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
