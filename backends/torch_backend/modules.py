"""The network in `nn.RNN`, `nn.LSTM` and `nn.GRU`: one replica after the other, each layer one call
into PyTorch's own loop over time (cuDNN's, on a GPU).

The weights are put into the module for each call, transposed from the canonical layout, the GRU's
gates as r, z, n. Its second bias vector is zero where the semantics do not train it. It knows no
masks, and its GRU resets after the recurrent product: `cells.py` has the rest.
"""

import warnings

import torch
from torch import Tensor, nn

from backends.torch_backend.cells import Weights, biases, head
from harness.core.model import ModelSpec

# cuDNN copies them together at each call, which is small beside the recurrence.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Modules:
    """See `cells.network`, whose signature a call has."""

    def __init__(self, model: ModelSpec) -> None:
        extra = {"nonlinearity": model.activation} if model.cell == "rnn" else {}
        sizes = (model.features, model.units, model.layers)
        self.rnn = LAYERS[model.cell](*sizes, batch_first=True, **extra)
        for name, _ in list(self.rnn.named_parameters()):
            delattr(self.rnn, name)  # a parameter gives way to the tensors that are trained

    def __call__(
        self, model: ModelSpec, weights: Weights, x: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Return the outputs for inputs `(R, B, T, F)`; there must be no mask."""
        assert mask is None
        native = [self._native(model, weights, layer) for layer in range(model.layers)]
        outputs = []
        for r, own in enumerate(x):
            for layer, tensors in enumerate(native):
                for name, stacked in tensors.items():
                    setattr(self.rnn, f"{name}_l{layer}", stacked[r])
            outputs.append(self.rnn(own)[0])
        h = torch.stack(outputs)  # (R, B, T, H)
        seen = h if model.every_step else h[:, :, -1]
        if model.head == "none":
            return seen
        return head(seen, weights["head.kernel"], weights["head.bias"])

    def _native(self, model: ModelSpec, weights: Weights, layer: int) -> Weights:
        """A layer's weights under PyTorch's names and in its layout, `(R, …)` each."""
        prefix = f"rnn.{layer}."
        own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
        first, second = own["bias"], own.get("recurrent_bias")
        if model.cell == "gru":
            first, both = biases(model, own)
            second = None if both is None else both[:, 0]
        tensors = {
            "weight_ih": own["kernel"].transpose(1, 2),
            "weight_hh": own["recurrent_kernel"].transpose(1, 2),
            "bias_ih": first,
            "bias_hh": torch.zeros_like(first) if second is None else second,
        }
        return {n: swap(w) for n, w in tensors.items()} if model.cell == "gru" else tensors


def swap(gates: Tensor) -> Tensor:
    """z, r, h on the second axis become r, z, n."""
    z, r, h = gates.chunk(3, 1)
    return torch.cat([r, z, h], 1)
