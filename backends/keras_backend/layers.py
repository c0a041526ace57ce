"""The network in `keras.layers`, as a function of one replica's weights.

The layers are built once, and their own weights are not used: during a call,
`keras.StatelessScope` replaces their variables by tensors. Where the semantics train other biases
than a layer has, the layer's bias is replaced by the effective bias.
"""

from typing import Any

import keras
import tensorflow as tf

from harness.core.model import ModelSpec

Weights = dict[str, Any]  # canonical names, without the replica axis


UNROLLED_STEPS = 32  # up to this length the loop over time is unrolled: faster, slower to trace


class Layers:
    """The network of one replica: `(weights, x, mask) -> outputs`.

    `x` is `(B, T, F)`, `mask` `(B, T)` or None, the outputs are `(B, O)` or `(B, T, O)`.
    """

    def __init__(self, model: ModelSpec, precision: str, device: str) -> None:
        self.model, self.device = model, device
        options: dict[str, Any] = {"activation": model.activation, "dtype": precision}
        options |= {"reset_after": has_two_rows(model)} if model.cell == "gru" else {}
        kind = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
        self.layers: list[Any] = []
        for index in range(model.layers):
            every_step = model.every_step or index < model.layers - 1
            layer = kind[model.cell](model.units, return_sequences=every_step, **options)
            layer.build((None, None, model.features if index == 0 else model.units))
            self.layers.append(layer)
        self.head: Any = None
        if model.head == "dense":
            self.head = keras.layers.Dense(model.outputs, dtype=precision)
            self.head.build((None, model.units))

    def __call__(self, weights: Weights, x: Any, mask: Any) -> Any:
        """Return the outputs for inputs `(B, T, F)` and a mask `(B, T)` or None, with `weights`."""
        with keras.StatelessScope(self._in_place(weights)):
            for layer in self.layers:
                layer.unroll = x.shape[1] <= UNROLLED_STEPS
                # cuDNN's kernels accept padding at the end only, and do not exist on the CPU.
                layer.use_cudnn = "auto" if mask is None and self.device == "cuda" else False
                x = layer(x, mask=mask)
            return x if self.head is None else self.head(x)

    def _in_place(self, weights: Weights) -> list[tuple[Any, Any]]:
        """Return every variable of the layers with the tensor that replaces it."""
        pairs = []
        for index, layer in enumerate(self.layers):
            prefix = f"rnn.{index}."
            layer_weights = {
                n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)
            }
            first, second = layer_weights["bias"], layer_weights.get("recurrent_bias")
            layer_weights["bias"] = acting_bias(self.model, first, second)
            pairs += [(v, layer_weights[v.name]) for v in layer.trainable_variables]
        if self.head is not None:
            pairs += [(v, weights[f"head.{v.name}"]) for v in self.head.trainable_variables]
        return pairs


def has_two_rows(model: ModelSpec) -> bool:
    """Whether the layer's bias is `(2, 3U)`, input side and recurrent side."""
    return model.cell == "gru" and model.reset == "after"


def acting_bias(model: ModelSpec, bias: Any, second: Any) -> Any:
    """Return the effective bias of a layer from the trained ones: their sum, or the two as rows."""
    if model.cell == "gru" and model.biases == "double":
        bias, second = tf.unstack(bias)
    elif model.biases == "candidate":
        second = tf.pad(second, [[2 * model.units, 0]])
    elif second is None:
        second = tf.zeros_like(bias)
    return tf.stack([bias, second]) if has_two_rows(model) else bias + second
