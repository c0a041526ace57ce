"""The reference with other roundings."""

from typing import Any

import numpy as np

from backends import Array, State
from backends.numpy_backend import NumpyBackend
from backends.numpy_backend.network import Network
from harness.core.model import Params
from harness.parity.control_band import perturbed


def rounded(seed: int) -> type[NumpyBackend]:
    """The reference as another program would have rounded it: outputs, gradients and weights go up
    or down by one unit in the last place, at every step."""

    def again(values: Params, place: int, step: int) -> Params:
        return perturbed(State(values), np.random.default_rng((seed, place, step))).params

    class RoundedNetwork(Network):
        step = 0

        def forward(self, x: Array, mask: Array | None) -> tuple[Array, list[Any]]:
            outputs, caches = super().forward(x, mask)
            return again({"": outputs}, 0, self.step)[""], caches

        def backward(self, d_outputs: Array, caches: list[Any]) -> None:
            super().backward(d_outputs, caches)
            for name, value in again(self.gradients, 1, self.step).items():
                self.gradients[name][...] = value
            self.step += 1

    class Rounded(NumpyBackend):
        _network = RoundedNetwork

        def _update(self, lr: Array) -> None:
            super()._update(lr)
            params = self.networks[0].params
            for name, value in again(params, 2, self.step).items():
                params[name][...] = value

    return Rounded
