"""The GRU of Cho et al. 2014, whose reset gate acts on the state before the recurrent product.

`nn.GRU` has only the other form, so this one is a loop over time under autograd. Its parameters
have the names, shapes and gate order r, z, n of `nn.GRU`'s.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GRUBefore(nn.Module):
    """A stack of layers, with the constructor and the call of `nn.GRU` as far as they are used."""

    def __init__(
        self, features: int, units: int, layers: int, dtype: torch.dtype, device: str
    ) -> None:
        super().__init__()
        self.units, self.layers = units, layers
        for layer in range(layers):
            fan_in = features if layer == 0 else units
            sizes = {"weight_ih": (fan_in,), "weight_hh": (units,), "bias_ih": (), "bias_hh": ()}
            for name, size in sizes.items():
                value = torch.zeros(3 * units, *size, dtype=dtype, device=device)
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(value))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`(B, T, F)` -> the last layer's states `(B, T, U)`, and each layer's last `(L, B, U)`."""
        last = []
        for layer in range(self.layers):
            x = self._layer(x, layer)
            last.append(x[:, -1])
        return x, torch.stack(last)

    def _layer(self, x: Tensor, layer: int) -> Tensor:
        """r, z = σ(p + h_{t−1} Uᵀ); n = tanh(p_n + (r ⊙ h_{t−1}) U_nᵀ);
        h_t = (1−z) ⊙ n + z ⊙ h_{t−1}, with p = x_t Wᵀ + b + b', as both biases act in one place."""
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        W, U, b, second = (self.get_parameter(f"{kind}_l{layer}") for kind in kinds)
        p = F.linear(x, W, b + second)  # (B, T, 3U)
        U_gates, U_n = U.split([2 * self.units, self.units])
        h, states = x.new_zeros(len(x), self.units), []
        for p_t in p.unbind(1):
            p_gates, p_n = p_t.split([2 * self.units, self.units], dim=1)
            r, z = torch.sigmoid(p_gates + F.linear(h, U_gates)).chunk(2, dim=1)
            n = torch.tanh(p_n + F.linear(r * h, U_n))
            h = (1 - z) * n + z * h
            states.append(h)
        return torch.stack(states, dim=1)
