"""The network in `nn.RNN`, `nn.LSTM` and `nn.GRU`, one replica after the other.

A call runs PyTorch's loop over time (cuDNN's, on a GPU). The layers' weights are views of the
backend's vector θ, which has PyTorch's layout (`native_layout.py`), so an update of θ is one of
theirs. The second bias vector is zero where the semantics do not train it. PyTorch's layers take no
masks, and `nn.GRU` resets after the recurrent product; `cells.py` has the other cases.
"""

import warnings

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from backends.torch_backend.cells import Weights
from backends.torch_backend.step import by_name
from harness.core.model import ModelSpec

# cuDNN copies the weights into one block at each call, which is cheap beside the recurrence.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")

LAYERS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Modules:
    """The network whose weights are those of one vector θ `(R, P)`; called as `step.stacked` is."""

    def __init__(self, model: ModelSpec, θ: Tensor) -> None:
        self.model = model
        self.replicas = [_leaves(model, θ[r : r + 1]) for r in range(len(θ))]
        self.rnns = [_rnn(model, weights) for weights in self.replicas]
        self.leaves = [leaf for weights in self.replicas for leaf in weights.values()]

    def __call__(
        self, model: ModelSpec, θ: Tensor, x: Tensor, mask: Tensor | None
    ) -> tuple[list[Tensor], Tensor]:
        """Return the weights and the outputs for `x` `(R, B, T, F)`; there must be no mask."""
        assert mask is None
        replicas = zip(self.rnns, self.replicas, x, strict=True)
        return self.leaves, torch.stack([self._outputs(*replica) for replica in replicas])

    def _outputs(self, rnn: nn.RNNBase, weights: Weights, x: Tensor) -> Tensor:
        """Return one replica's outputs `(B, O)` or `(B, T, O)` for `x` `(B, T, F)`."""
        if self.model.biases == "candidate":
            _set_candidate_biases(rnn, self.model, weights)
        h, last = rnn(x)
        if not self.model.every_step:  # the state after the last step, of the last layer
            h = (last[0] if self.model.cell == "lstm" else last)[-1]
        if self.model.head == "none":
            return h
        return linear(h, weights["head.kernel"], weights["head.bias"])


def _leaves(model: ModelSpec, θ: Tensor) -> Weights:
    """Return one replica's weights, from θ `(1, P)`, as leaves of autograd in PyTorch's shapes.

    The two rows of a GRU's biases are two leaves, the second called `recurrent_bias`.
    """
    leaves = {}
    for name, (weight,) in by_name(θ.detach(), model).items():
        if name.endswith("kernel"):
            leaves[name] = weight.view(weight.shape[::-1])
        elif weight.ndim == 2:
            leaves[name], leaves[name.replace("bias", "recurrent_bias")] = weight
        else:
            leaves[name] = weight
    return {name: leaf.detach().requires_grad_() for name, leaf in leaves.items()}


def _rnn(model: ModelSpec, weights: Weights) -> nn.RNNBase:
    """Return PyTorch's layers with these weights."""
    extra = {"nonlinearity": model.activation} if model.cell == "rnn" else {}
    sizes = (model.features, model.units, model.layers)
    rnn = LAYERS[model.cell](*sizes, batch_first=True, **extra)
    for name, _ in list(rnn.named_parameters()):
        delattr(rnn, name)  # tensors take their places
    for layer in range(model.layers):
        bias = weights[f"rnn.{layer}.bias"]
        second = weights.get(f"rnn.{layer}.recurrent_bias", torch.zeros_like(bias.detach()))
        setattr(rnn, f"weight_ih_l{layer}", weights[f"rnn.{layer}.kernel"])
        setattr(rnn, f"weight_hh_l{layer}", weights[f"rnn.{layer}.recurrent_kernel"])
        setattr(rnn, f"bias_ih_l{layer}", bias)
        setattr(rnn, f"bias_hh_l{layer}", second)
    return rnn


def _set_candidate_biases(rnn: nn.RNNBase, model: ModelSpec, weights: Weights) -> None:
    """Let the second bias of a GRU act on the candidate alone, which is the last gate."""
    for layer in range(model.layers):
        bias = weights[f"rnn.{layer}.recurrent_bias"]
        setattr(rnn, f"bias_hh_l{layer}", torch.cat([bias.new_zeros(2 * model.units), bias]))
