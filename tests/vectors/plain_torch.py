"""A case of the written reference vectors, computed by PyTorch alone from its `.npz` and `.json`.

Nothing of this project is imported. `torch.nn` has no GRU whose reset gate acts before the
recurrent product, so that one is written out here.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Array = np.ndarray
MODULES: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
ORDER = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}  # PyTorch's GRU has r, z, n


def turned(array: Array, order: list[int]) -> Array:
    """Gates on the last axis in another order, and the axes exchanged, as PyTorch has them."""
    return np.concatenate([np.split(array, len(order), -1)[k] for k in order], -1).T


class Layers(nn.Module):
    """The case's layers by `torch.nn`; `order` are the gates of ours that PyTorch's own are."""

    def __init__(self, v: dict[str, Array], facts: Any, order: list[int] | None = None) -> None:
        super().__init__()
        self.facts, self.cell, sizes = facts, facts["cell"], v["params/rnn.0.kernel"].shape
        self.order, self.back = ORDER[self.cell] if order is None else order, ORDER[self.cell]
        relu = {"nonlinearity": "relu"} if facts["activation"] == "relu" else {}
        units = len(v["params/rnn.0.recurrent_kernel"])
        kind = MODULES[self.cell]
        self.rnn = kind(sizes[0], units, facts["layers"], batch_first=True, **relu).double()
        for layer in range(facts["layers"]):
            self._fill(v, layer)

    def _fill(self, v: dict[str, Array], layer: int) -> None:
        names = [f"params/rnn.{layer}.{n}" for n in ("kernel", "recurrent_kernel", "bias")]
        W, U, b = (v[name] for name in names)
        second = v.get(f"params/rnn.{layer}.recurrent_bias")
        if b.ndim == 2:
            b, second = b
        for name, value in (("weight_ih", W), ("weight_hh", U), ("bias_ih", b)):
            self._set(f"{name}_l{layer}", value)
        self._set(f"bias_hh_l{layer}", np.zeros_like(b) if second is None else second)
        getattr(self.rnn, f"bias_hh_l{layer}").requires_grad_(second is not None)

    def _set(self, name: str, value: Array) -> None:
        getattr(self.rnn, name).data = torch.tensor(turned(value, self.order))

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return self.rnn(x)[0]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]

    def named(self, gradients: bool) -> dict[str, Array]:
        """Weights or their gradients under the names of the `.npz`."""
        found: dict[str, Array] = {}
        for layer in range(self.facts["layers"]):
            second = "recurrent_bias"
            for ours, name in (
                ("kernel", "weight_ih"),
                ("recurrent_kernel", "weight_hh"),
                ("bias", "bias_ih"),
                (second, "bias_hh"),
            ):
                parameter = getattr(self.rnn, f"{name}_l{layer}")
                if parameter.requires_grad:
                    value = parameter.grad if gradients else parameter.detach()
                    found[f"rnn.{layer}.{ours}"] = turned(value.numpy().T, self.back).T
            if self.cell == "gru" and f"rnn.{layer}.{second}" in found:
                rows = found[f"rnn.{layer}.bias"], found.pop(f"rnn.{layer}.{second}")
                found[f"rnn.{layer}.bias"] = np.stack(rows)
        return found


class ResetBefore(nn.Module):
    """GRU layers as in Cho et al. 2014, with the weights as they are in the `.npz`."""

    def __init__(self, v: dict[str, Array], facts: Any) -> None:
        super().__init__()
        names = [name for name in v if name.startswith("params/")]
        self.names = [name.removeprefix("params/") for name in names]
        self.weights = nn.ParameterList([nn.Parameter(torch.tensor(v[n])) for n in names])
        self.layers = facts["layers"]

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        named = dict(zip(self.names, self.weights, strict=True))
        for layer in range(self.layers):
            parts = ("kernel", "recurrent_kernel", "bias")
            x = self._layer(x, *(named[f"rnn.{layer}.{part}"] for part in parts))
        return x  # padding is behind and cannot reach a real step

    @staticmethod
    def _layer(x: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
        U_z, U_r, U_h = U.chunk(3, dim=1)
        h, states = x.new_zeros(len(x), len(U)), []
        for p in (x @ W + (b if b.ndim == 1 else b.sum(0))).unbind(dim=1):
            p_z, p_r, p_h = p.chunk(3, dim=1)
            z, r = torch.sigmoid(p_z + h @ U_z), torch.sigmoid(p_r + h @ U_r)
            h = z * h + (1 - z) * torch.tanh(p_h + (r * h) @ U_h)
            states.append(h)
        return torch.stack(states, dim=1)

    def named(self, gradients: bool) -> dict[str, Array]:
        values = [p.grad if gradients else p.detach() for p in self.weights]
        return {n: v.numpy() for n, v in zip(self.names, values, strict=True) if v is not None}


def build(v: dict[str, Array], facts: Any, order: list[int] | None = None) -> Any:
    """The layers that `facts`, the description's `network`, speaks of."""
    if facts.get("reset_gate") == "before":
        return ResetBefore(v, facts)
    return Layers(v, facts, order)


def loss_of(network: Any, v: dict[str, Array], x: Tensor) -> tuple[Tensor, Tensor]:
    """The outputs at real steps and the mean squared error there."""
    lengths = torch.tensor(v["lengths"]) if "lengths" in v else None
    outputs = network(x, lengths)
    real = torch.tensor(v.get("mask", np.ones(v["x"].shape[:2], bool)))
    return outputs[real], ((outputs - torch.tensor(v["y"])) ** 2)[real].mean()


OPTIMIZERS: dict[str, Any] = {
    "sgd": lambda p, s: torch.optim.SGD(p, s["lr"]),
    "momentum": lambda p, s: torch.optim.SGD(p, s["lr"], s["momentum"]),
    "nesterov": lambda p, s: torch.optim.SGD(p, s["lr"], s["momentum"], nesterov=True),
    "adam": lambda p, s: torch.optim.Adam(p, s["lr"], (s["beta1"], s["beta2"]), s["epsilon"]),
    "rmsprop": lambda p, s: torch.optim.RMSprop(p, s["lr"], s["rho"], s["epsilon"]),
}


def trained(network: Any, name: str, v: dict[str, Array], settings: Any) -> Array:
    """The loss before each of the optimizer's steps; `network` has its weights after the last."""
    optimizer = OPTIMIZERS[name]([p for p in network.parameters() if p.requires_grad], settings)
    losses = []
    for _ in range(settings["steps"]):
        optimizer.zero_grad()
        loss = loss_of(network, v, torch.tensor(v["x"]))[1]
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)
