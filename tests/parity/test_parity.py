"""Parity names the step, tensor, gate and time step at which a planted bug first shows."""

from typing import Any

import pytest

from backends import Array
from backends.numpy_backend import NumpyBackend
from harness.parity.lockstep import check
from tests.support.problems import Case
from tests.support.wrong_backends import (
    EmptyMemory,
    EpsilonBeforeCorrection,
    FirstRateOnly,
    FixedBatchSize,
    ForgetfulConstructor,
    ForgetsItsOwnBias,
    FrozenPredictions,
    HeadWithoutBias,
    LateRate,
    LosesItsState,
    MovesAWeight,
    NamedAsInTorch,
    NeverUpdated,
    SecondBias,
    StaleMemory,
    SummedLoss,
    SwappedGates,
    TransposedRecurrentKernel,
    TruncatedBptt,
    UncountedUpdates,
    WrongForgetGradient,
)

RNN = Case("parity-rnn", time_steps=5)
LSTM = Case("parity-lstm", "lstm", optimizer="adam", lr=0.002, time_steps=5)
TWO = Case("parity-lstm-2", "lstm", layers=2, time_steps=5)
GRU = Case("parity-gru-2", "gru", layers=2, momentum=0.9, lr=0.01, cosine=True, time_steps=5)
KERNELS = ("kernel", "recurrent_kernel", "bias")


def found(broken: type[NumpyBackend], case: Case) -> Any:
    place = check(case.problem("float64", 12), {"numpy": NumpyBackend, "broken": broken}).first
    assert place is not None
    return place


@pytest.mark.parametrize(
    ("broken", "case", "expected"),
    [
        (NamedAsInTorch, RNN, {"stage": "names", "step": 1}),
        (
            TransposedRecurrentKernel,
            RNN,
            {"stage": "hidden states", "tensor": "rnn.0.recurrent_kernel", "time_step": 1},
        ),
        (SwappedGates, TWO, {"stage": "hidden states", "layer": 1, "gate": "i, f"}),
        (SwappedGates, GRU, {"stage": "hidden states", "layer": 1, "gate": "z, r", "time_step": 0}),
        (
            ForgetsItsOwnBias,
            LSTM,
            {"stage": "hidden states", "tensor": "rnn.0.bias", "gate": "o", "time_step": 0},
        ),
        (LosesItsState, LSTM, {"stage": "hidden states", "layer": 0, "time_step": 3}),
        (HeadWithoutBias, RNN, {"stage": "outputs", "tensor": "head.bias"}),
        (SummedLoss, RNN, {"stage": "loss", "step": 1}),
        (
            WrongForgetGradient,
            LSTM,
            {"stage": "gradients", "layer": 0, "gate": "f", "time_step": 1},
        ),
        (TruncatedBptt, RNN, {"stage": "gradients", "layer": 0, "time_step": 2}),
        (SecondBias, RNN, {"stage": "gradients", "tensor": "rnn.0.bias", "time_step": 0}),
        (NeverUpdated, RNN, {"stage": "gradients", "step": 1}),
        (
            StaleMemory,
            LSTM,
            {"stage": "optimiser slots", "tensor": "v of rnn.0.kernel", "gate": "o"},
        ),
        (EpsilonBeforeCorrection, LSTM, {"stage": "weights", "step": 1}),
        (LateRate, GRU, {"stage": "weights", "step": 2}),
        (FixedBatchSize, RNN, {"stage": "gradients", "step": 5}),
        (FrozenPredictions, LSTM, {"stage": "resumed", "tensor": "outputs"}),
        (ForgetfulConstructor, LSTM, {"stage": "resumed", "step": 13}),
        (UncountedUpdates, LSTM, {"stage": "optimiser slots", "tensor": "updates done"}),
        (EmptyMemory, LSTM, {"stage": "resumed", "step": 13}),
        (MovesAWeight, RNN, {"stage": "weights", "step": 7, "tensor": "head.kernel"}),
        (FirstRateOnly, GRU, {"stage": "losses"}),
    ],
    ids=lambda value: getattr(value, "__name__", getattr(value, "name", "")),
)
def test_planted_bug_is_located(
    broken: type[NumpyBackend], case: Case, expected: dict[str, object]
) -> None:
    place = found(broken, case)
    assert {key: getattr(place, key) for key in expected} == expected, place.sentence()
    for value in expected.values():
        assert str(value) in place.sentence()


def test_blocks_of_swapped_gates_are_those_two_in_every_tensor() -> None:
    place = found(SwappedGates, TWO)
    assert set(place.blocks) == {(f"rnn.1.{name}", gate) for name in KERNELS for gate in "if"}


def test_what_is_carried_outside_the_state_is_said_so() -> None:
    assert "outside the state" in found(LateRate, GRU).note


def test_moved_weight_is_seen_at_the_last_stage_alone() -> None:
    """Or else the case would not ask whether the state is at fault."""
    problem = RNN.problem("float64", 12)
    parity = check(problem, {"numpy": NumpyBackend, "broken": MovesAWeight})
    assert {stage for (stage, _), found in parity.differences.items() if found.beyond} == {
        "resumed"
    }


def test_weights_that_differ_in_float32_are_not_blamed_on_the_state() -> None:
    class MovesMore(NumpyBackend):
        def _update(self, lr: Array) -> None:
            super()._update(lr)
            if self.step == 12:  # after the last loss
                self.networks[0].params["head.kernel"] *= 1.01

    problem = RNN.problem("float32", 12)
    place = check(problem, {"numpy": NumpyBackend, "broken": MovesMore}).first
    assert place is not None
    assert (place.stage, place.step, place.tensor) == ("weights", 12, "head.kernel")
    assert "precision=float64" in place.note


def test_sound_backend_has_no_place() -> None:
    parity = check(LSTM.problem("float64", 12), {"numpy": NumpyBackend, "again": NumpyBackend})
    assert parity.agrees
    assert all(difference.error == 0 for difference in parity.differences.values())
