"""The network in `nn.RNN`, `nn.LSTM` and `nn.GRU`, one replica after the other.

A call runs PyTorch's loop over time (cuDNN's, on a GPU). The weights, which have PyTorch's layout
(`native_layout.py`), are set in the module for each call. The second bias vector is zero where the
semantics do not train it. PyTorch's layers take no masks, and `nn.GRU` resets after the recurrent
product; `cells.py` has the other cases.
"""

import warnings

import torch
from torch import Tensor, nn

from backends.torch_backend.cells import Weights, biases, head
from harness.core.model import ModelSpec

# cuDNN copies the weights into one block at each call, which is cheap beside the recurrence.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Modules:
    """A callable with the signature of `cells.network`."""

    def __init__(self, model: ModelSpec) -> None:
        extra = {"nonlinearity": model.activation} if model.cell == "rnn" else {}
        sizes = (model.features, model.units, model.layers)
        self.rnn = LAYERS[model.cell](*sizes, batch_first=True, **extra)
        for name, _ in list(self.rnn.named_parameters()):
            delattr(self.rnn, name)  # a call sets the trained tensors in its place

    def __call__(
        self, model: ModelSpec, weights: Weights, x: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Return the outputs for inputs `(R, B, T, F)`; there must be no mask."""
        assert mask is None
        native = [self._native(model, weights, layer) for layer in range(model.layers)]
        outputs = []
        for r, x_r in enumerate(x):
            for layer, tensors in enumerate(native):
                for name, stacked in tensors.items():
                    setattr(self.rnn, f"{name}_l{layer}", stacked[r])
            outputs.append(self.rnn(x_r)[0])
        h = torch.stack(outputs)  # (R, B, T, H)
        seen = h if model.every_step else h[:, :, -1]
        if model.head == "none":
            return seen
        V = weights["head.kernel"]
        return head(seen, V.view(len(V), model.outputs, -1).transpose(1, 2), weights["head.bias"])

    def _native(self, model: ModelSpec, weights: Weights, layer: int) -> Weights:
        """Return a layer's weights by PyTorch's names and in its shapes, `(R, …)` each."""
        prefix = f"rnn.{layer}."
        layer_weights = {
            n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)
        }
        first, second = layer_weights["bias"], layer_weights.get("recurrent_bias")
        if model.cell == "gru":
            first, both = biases(model, layer_weights)
            second = None if both is None else both[:, 0]
        W, U = layer_weights["kernel"], layer_weights["recurrent_kernel"]
        return {
            "weight_ih": W.view(len(W), W.shape[2], W.shape[1]),
            "weight_hh": U.view(len(U), U.shape[2], U.shape[1]),
            "bias_ih": first,
            "bias_hh": torch.zeros_like(first) if second is None else second,
        }
