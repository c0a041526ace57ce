"""The reference with other roundings."""

from typing import Any

import numpy as np

from backends import Array, State
from backends.numpy_backend import NumpyBackend
from harness.core.model import Params
from harness.parity.control_band import perturbed


def rounded(seed: int) -> type[NumpyBackend]:
    """The reference as another program would have rounded it: outputs, gradients and weights go up
    or down by one unit in the last place, at every step."""

    class Rounded(NumpyBackend):
        def _forward(self, x: Array, mask: Array | None) -> tuple[Array, list[Any]]:
            outputs, caches = super()._forward(x, mask)
            return self._again({"": outputs}, 0)[""], caches

        def _backward(self, d_outputs: Array, caches: list[Any]) -> None:
            super()._backward(d_outputs, caches)
            for name, value in self._again(self.gradients, 1).items():
                self.gradients[name][...] = value

        def _update(self, lr: Array) -> None:
            super()._update(lr)
            for name, value in self._again(self.params, 2).items():
                self.params[name][...] = value

        def _again(self, values: Params, place: int) -> Params:
            rng = np.random.default_rng((seed, place, self.step))
            return perturbed(State(values), rng).params

    return Rounded
