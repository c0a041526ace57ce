"""Backends with one mistake each, as people who port a network make them."""

from dataclasses import replace
from typing import Any

import numpy as np

from backends import Array, State
from backends.flat import unflatten
from backends.numpy_backend import NumpyBackend
from backends.numpy_backend.network import Network


class NamedAsInTorch(NumpyBackend):
    """Parameters under the framework's own names."""

    def state(self) -> State:
        state = super().state()
        state.params = {name.replace("kernel", "weight"): p for name, p in state.params.items()}
        return state


class TransposedRecurrentKernelNetwork(Network):
    def weights(self, layer: int) -> tuple[Array, Array, Array]:
        kernel, recurrent, bias = super().weights(layer)
        return kernel, recurrent.swapaxes(1, 2), bias


class TransposedRecurrentKernel(NumpyBackend):
    """A PyTorch weight taken over as it is: h Uᵀ in place of h U."""

    _network = TransposedRecurrentKernelNetwork


class SwappedGatesNetwork(Network):
    def weights(self, layer: int) -> tuple[Array, Array, Array]:
        weights = super().weights(layer)
        if layer == 0:
            return weights
        U = self.model.units
        order = np.r_[U : 2 * U, :U, 2 * U : weights[0].shape[-1]]
        kernel, recurrent, bias = (weight[..., order] for weight in weights)
        return kernel, recurrent, bias


class SwappedGates(NumpyBackend):
    """The first two gates of the upper layer change places: i and f, or z and r."""

    _network = SwappedGatesNetwork


class ForgetsItsOwnBiasNetwork(Network):
    def weights(self, layer: int) -> tuple[Array, Array, Array]:
        kernel, recurrent, bias = super().weights(layer)
        bias = bias.copy()
        bias[..., 3 * self.model.units :] = 0
        return kernel, recurrent, bias


class ForgetsItsOwnBias(NumpyBackend):
    """The output gate's bias is left out."""

    _network = ForgetsItsOwnBiasNetwork


class LosesItsStateNetwork(Network):
    def forward(self, x: Array, mask: Array | None) -> tuple[Array, list[Any]]:
        inner = self.cell_forward

        def broken(x: Array, *rest: Any) -> tuple[Array, Any]:
            _, cache = inner(x, *rest)
            parts = [inner(np.ascontiguousarray(p), *rest)[0] for p in (x[:, :3], x[:, 3:])]
            return np.concatenate(parts, axis=1), cache

        self.cell_forward = broken
        try:
            return super().forward(x, mask)
        finally:
            self.cell_forward = inner


class LosesItsState(NumpyBackend):
    """The state is zero again at time step 3."""

    _network = LosesItsStateNetwork


class HeadWithoutBiasNetwork(Network):
    def forward(self, x: Array, mask: Array | None) -> tuple[Array, list[Any]]:
        outputs, caches = super().forward(x, mask)
        bias = self.params["head.bias"][:, None] if self.model.head == "dense" else 0.0
        return outputs - bias, caches


class HeadWithoutBias(NumpyBackend):
    _network = HeadWithoutBiasNetwork


class SummedLoss(NumpyBackend):
    """The reported loss is the sum over the batch's samples; the training is right."""

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        return super().train_epoch(batches, lr) * batches.shape[-1]


class WrongForgetGradientNetwork(Network):
    def backward(self, d_outputs: Array, caches: list[Any]) -> None:
        super().backward(d_outputs, caches)
        U = self.model.units
        for name in ("kernel", "recurrent_kernel", "bias"):
            self.gradients[f"rnn.0.{name}"][..., U : 2 * U] *= 1.01


class WrongForgetGradient(NumpyBackend):
    """The error of the forget gate is 1 % too large."""

    _network = WrongForgetGradientNetwork


class TruncatedBpttNetwork(Network):
    def backward(self, d_outputs: Array, caches: list[Any]) -> None:
        super().backward(d_outputs, list(caches))
        x_1, U, _, _, h = caches[0]
        if h.shape[1] <= 2:
            return
        late = np.zeros_like(h)
        late[:, -1] = d_outputs @ self.params["head.kernel"].swapaxes(1, 2)
        slope, da = 1 - h * h, np.zeros_like(h)
        da[:, -1] = late[:, -1] * slope[:, -1]
        da[:, -2] = (da[:, -1] @ U.swapaxes(1, 2)) * slope[:, -2]
        before = h[:, -3:-1]
        gradients = self.gradients
        gradients["rnn.0.recurrent_kernel"][...] = np.einsum("rtbi,rtbj->rij", before, da[:, -2:])
        x = x_1[..., :-1].reshape(*h.shape[:3], -1)
        gradients["rnn.0.kernel"][...] = np.einsum("rtbi,rtbj->rij", x[:, -2:], da[:, -2:])
        gradients["rnn.0.bias"][...] = da.sum(axis=(1, 2))


class TruncatedBptt(NumpyBackend):
    """No error flows back into the state before the last two time steps."""

    _network = TruncatedBpttNetwork


class SecondBias(NumpyBackend):
    """Two trained biases that are added: both get the gradient, so their sum moves twice."""

    def _update(self, lr: Array) -> None:
        params = self.networks[0].params
        before = {n: p.copy() for n, p in params.items() if n == "rnn.0.bias"}
        super()._update(lr)
        for name, value in before.items():
            params[name][...] += params[name] - value


class NeverUpdated(NumpyBackend):
    """Losses are computed, and the weights stay as they are."""

    def _update(self, lr: Array) -> None:
        self.step += 1


class StaleMemory(NumpyBackend):
    """Adam's v of the LSTM's output gate is never updated."""

    def _update(self, lr: Array) -> None:
        super()._update(lr)
        if "v" in self.slots:
            v = unflatten(self.slots["v"], self.model)
            v["rnn.0.kernel"][..., 3 * self.model.units :] = 0


class EpsilonBeforeCorrection(NumpyBackend):
    """Keras' Adam: ε is added to √v before the bias correction, not after."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        rules = replace(self.training.semantics, adam_eps_place="uncorrected")
        self.training = replace(self.training, semantics=rules)


class LateRate(NumpyBackend):
    """The learning rate of the step before: without a schedule nobody would see it."""

    rate = None

    def _update(self, lr: Array) -> None:
        super()._update(lr if self.rate is None else self.rate)
        self.rate = lr


class FixedBatchSizeNetwork(Network):
    def backward(self, d_outputs: Array, caches: list[Any]) -> None:
        samples = d_outputs.shape[-2]
        super().backward(d_outputs * (samples / 8), caches)


class FixedBatchSize(NumpyBackend):
    """The mean over a batch always divides by 8, so that a shorter last batch counts less."""

    _network = FixedBatchSizeNetwork


class FrozenPredictions(NumpyBackend):
    """`predict` answers with the weights of the beginning."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.first = {name: value.copy() for name, value in self.networks[0].params.items()}

    def predict(self, x: Array, mask: Array | None = None) -> Array:
        [network] = self.networks
        trained, network.params = network.params, self.first
        try:
            return super().predict(x, mask)
        finally:
            network.params = trained


class ForgetfulConstructor(NumpyBackend):
    """The optimiser's memory is not taken over from the state."""

    def __init__(self, model: Any, training: Any, data: Any, state: State, *rest: Any) -> None:
        slots = {s: {n: 0 * v for n, v in kept.items()} for s, kept in state.slots.items()}
        super().__init__(model, training, data, replace(state, slots=slots), *rest)


class UncountedUpdates(NumpyBackend):
    def state(self) -> State:
        return replace(super().state(), step=0)


class EmptyMemory(NumpyBackend):
    """From the third update on, `state` gives the optimiser's memory as zeros."""

    def state(self) -> State:
        state = super().state()
        if state.step < 3:
            return state
        slots = {s: {n: 0 * v for n, v in kept.items()} for s, kept in state.slots.items()}
        return replace(state, slots=slots)


class MovesAWeight(NumpyBackend):
    """Step 7 moves a weight of the head by so little that no loss shows it."""

    def _update(self, lr: Array) -> None:
        super()._update(lr)
        if self.step == 7:
            kernel = self.networks[0].params["head.kernel"]
            kernel[:, :1] += 3e-9 * np.abs(kernel).max()


class FirstRateOnly(NumpyBackend):
    """A call of several steps uses its first learning rate throughout."""

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        return super().train_epoch(batches, np.repeat(lr[:1], len(lr), axis=0))
