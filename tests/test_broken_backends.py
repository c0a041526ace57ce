"""The checks of agreement find what goes wrong when networks are ported, each at a known stage.

Every backend here is a correct one with one mistake in it. The mistakes are those that people make
between frameworks, and each is caught by the very functions that `test_agreement.py` uses.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from backends import Array, Backend, State
from backends.numpy_backend import NumpyBackend
from backends.torch_backend import TorchBackend
from harness.model import Params
from tests.agreement import (
    check_band,
    check_forward,
    check_gradients,
    check_losses,
    check_names,
    first_disagreement,
)
from tests.conftest import LIMITS
from tests.problems import MATCHED, Case

PRECISIONS = list(LIMITS)


class TransposedRecurrentKernel(NumpyBackend):
    """A PyTorch weight taken over as it is: h Uᵀ in place of h U."""

    def _weights(self, layer: int) -> tuple[Array, Array, Array]:
        kernel, recurrent, bias = super()._weights(layer)
        return kernel, recurrent.swapaxes(1, 2), bias


class SwappedGates(NumpyBackend):
    """The first two gates change places: i and f of an LSTM, z and r of a GRU."""

    def _weights(self, layer: int) -> tuple[Array, Array, Array]:
        U = self.model.units
        first, second = slice(0, U), slice(U, 2 * U)
        swapped = [weight.copy() for weight in super()._weights(layer)]
        for weight in swapped:
            weight[..., first], weight[..., second] = weight[..., second], weight[..., first].copy()
        return swapped[0], swapped[1], swapped[2]


class NamedAsInTorch(NumpyBackend):
    """Parameters under the framework's own names."""

    def state(self) -> State:
        state = super().state()
        state.params = {name.replace("kernel", "weight"): p for name, p in state.params.items()}
        return state


class SummedLoss(TorchBackend):
    """The sum over samples and outputs in place of their mean."""

    def _loss(self, replica: int, rows: Tensor) -> Tensor:
        return super()._loss(replica, rows) * self.y[0, 0].numel() * len(rows)


class TruncatedBptt(TorchBackend):
    """No error flows back beyond the last two time steps."""

    def _loss(self, replica: int, rows: Tensor) -> Tensor:
        network, x = self.networks[replica], self.x[replica][rows]
        _, carried = network.rnn(x[:, :-2])
        h, _ = network.rnn(x[:, -2:], carried.detach())
        return torch.nn.functional.mse_loss(network.head(h[:, -1]), self.y[replica][rows])


class SecondBias(NumpyBackend):
    """Two trained biases that are added: both get the gradient, so their sum moves twice."""

    def _update(self, gradients: Params, lr: Array) -> None:
        before = {n: p.copy() for n, p in self.params.items() if n.startswith("rnn")}
        super()._update(gradients, lr)
        for name, value in before.items():
            if name.endswith("bias"):
                self.params[name] += self.params[name] - value


class NeverUpdated(NumpyBackend):
    """Losses are computed, and the weights stay as they are."""

    def _update(self, gradients: Params, lr: Array) -> None:
        self.step += 1


class EpsilonBeforeCorrection(NumpyBackend):
    """Keras' Adam: ε is added to √v before the bias correction, not after."""

    def _update(self, gradients: Params, lr: Array) -> None:
        correction = np.sqrt(1 - 0.999 ** (self.step + 1))
        semantics = replace(MATCHED, adam_eps=MATCHED.adam_eps / correction)
        self.training = replace(self.training, semantics=semantics)
        super()._update(gradients, lr)


class LateRate(NumpyBackend):
    """The learning rate of the step before: without a schedule nobody would see it."""

    rate = None

    def _update(self, gradients: Params, lr: Array) -> None:
        super()._update(gradients, lr if self.rate is None else self.rate)
        self.rate = lr


RNN = Case("broken-rnn")
LSTM = Case("broken-lstm", "lstm", optimizer="adam", lr=0.002)
GRU = Case("broken-gru", "gru", momentum=0.9, lr=0.01, cosine=True)

BROKEN = [
    (NamedAsInTorch, RNN, "names"),
    (TransposedRecurrentKernel, RNN, "forward"),
    (SwappedGates, LSTM, "forward"),
    (SwappedGates, GRU, "forward"),
    (SummedLoss, RNN, "gradient"),
    (TruncatedBptt, RNN, "gradient"),
    (SecondBias, RNN, "gradient"),
    (NeverUpdated, RNN, "gradient"),
    (EpsilonBeforeCorrection, LSTM, "losses"),
    (LateRate, GRU, "losses"),
]


@pytest.mark.parametrize(
    ("broken", "case", "stage"), BROKEN, ids=[f"{b.__name__}-{c.cell}" for b, c, _ in BROKEN]
)
def test_mistake_is_caught_at_its_stage(broken: type[Backend], case: Case, stage: str) -> None:
    assert first_disagreement(broken, case, "float64") == stage


@pytest.mark.parametrize("sound", [NumpyBackend, TorchBackend])
@pytest.mark.parametrize("case", [RNN, LSTM, GRU], ids=lambda case: case.name)
def test_same_cases_find_nothing_in_a_sound_backend(sound: type[Backend], case: Case) -> None:
    assert first_disagreement(sound, case, "float64") is None


# --------------------------------------------------------- a single entry is enough for each check


def params() -> Params:
    rng = np.random.default_rng(0)
    return {"a": rng.standard_normal((3, 4, 5)), "b": rng.standard_normal((3, 7))}


@pytest.mark.parametrize(
    "actual",
    [
        {"a": params()["a"]},
        params() | {"c": np.zeros(3)},
        params() | {"b": np.zeros((3, 8))},
        params() | {"b": params()["b"].astype(np.float32)},
    ],
    ids=["missing", "too-many", "shape", "precision"],
)
def test_names_fail_by_one_entry(actual: Params) -> None:
    check_names(params(), params())
    with pytest.raises(AssertionError, match="names"):
        check_names(params(), actual)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_forward_fails_by_one_entry(precision: str, wrong: str) -> None:
    outputs = params()["b"]
    fails_by_one_entry(
        partial(check_forward, precision=precision),
        outputs,
        limit=LIMITS[precision].forward * np.abs(outputs).max(),
        wrong=wrong,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_gradients_fail_by_one_entry(precision: str, wrong: str) -> None:
    fails_by_one_entry(
        lambda e, a: check_gradients(params() | {"b": e}, params() | {"b": a}, precision),
        params()["b"],
        limit=LIMITS[precision].gradient * np.abs(params()["b"][1]).max(),
        wrong=wrong,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_losses_fail_by_one_entry(precision: str, wrong: str) -> None:
    losses = np.exp(params()["b"])
    fails_by_one_entry(
        partial(check_losses, precision=precision),
        losses,
        limit=LIMITS[precision].losses * losses[1, 2],
        wrong=wrong,
    )


@pytest.mark.parametrize("width", [1e-9, 1e-2], ids=["narrow", "wide"])
@pytest.mark.parametrize("wrong", ["beyond", "nan"])
def test_band_fails_by_one_entry(width: float, wrong: str) -> None:
    losses = np.exp(params()["b"])
    fails_by_one_entry(
        partial(check_band, precision="float32", band=np.full_like(losses, width)),
        losses,
        limit=max(width, LIMITS["float32"].losses) * losses[1, 2],
        wrong=wrong,
    )


def fails_by_one_entry(
    check: Callable[[Array, Array], None], expected: Array, limit: float, wrong: str
) -> None:
    """`check` lets the entry at (1, 2) be off by half of `limit`, but not by twice that or NaN."""
    actual = expected.copy()
    actual[1, 2] = expected[1, 2] + limit / 2
    check(expected, actual)
    actual[1, 2] = expected[1, 2] + 2 * limit if wrong == "beyond" else np.nan
    with pytest.raises(AssertionError, match="off by"):
        check(expected, actual)


def test_losses_refuse_more_steps_than_their_limit_is_for() -> None:
    losses = np.ones((LIMITS["float32"].steps + 1, 1))
    with pytest.raises(AssertionError, match="10 steps only"):
        check_losses(losses, losses, "float32")
