"""ONNX Runtime's own tests of RNN, LSTM and GRU, `onnxruntime.json` (source within): ragged
batches, random weights, two directions, both forms of the GRU's reset.

What they cannot see: in the LSTM and GRU cases called `…SimpleWeights…` and `MixedSequenceLengths`
all recurrent weights are 0.1, so that they may be exchanged; the other LSTM and GRU cases have the
same weights in both directions; RNN has no bias and zeros as padding, so that its reverse direction
cannot tell padding from input. Of two LSTM cases four digits hold: ONNX Runtime 1.31 itself is
6.1e-5 off its own numbers there, and 3e-8 off ours.

Left out are tests with peepholes, a clip, coupled gates, other activations or an initial state,
which our layers do not have, and those of several hundred constant rows.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends import Backend
from backends.numpy_backend import NumpyBackend
from tests.vectors.layer import FOUR_DIGITS, SEVEN_DIGITS
from tests.vectors.onnx_layer import FROM_ONNX, node

CASES: list[Any] = json.loads(Path(__file__).with_name("onnxruntime.json").read_text())["cases"]
NAMES = [f"{case['op']}-{case['test']}-{case['lengths']}" for case in CASES]
# One of each kind for all backends: compiling takes longer than the test.
KINDS = {
    "RNN": "RNN_forward_direction_zigged_batch",
    "LSTM": "ONNXRuntime_TestLSTMZeroSeqInMiddle",
    "GRU, before": "ForwardDefaultActivationsSimpleWeightsWithBiasBatchParallel",
    "GRU, after": "ONNXRuntime_TestGRUOpSequenceLengthWithBidirectionalLinearBeforeResetB2",
}


def error(backend: type[Backend], case: dict[str, Any], **changes: Any) -> float:
    """The largest difference at a real step."""
    given = {n: v for n, v in case.items() if n not in ("test", "file", "digits", "Y")}
    wanted = np.array(case["Y"])
    ours = node(backend, **given | changes)
    assert ours.shape == wanted.shape
    return float(np.abs(ours - wanted).max())


def limit(case: dict[str, Any]) -> float:
    return FOUR_DIGITS if case.get("digits") == 4 else SEVEN_DIGITS


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_our_layer_repeats_the_case(case: dict[str, Any]) -> None:
    assert error(NumpyBackend, case) < limit(case)


@pytest.mark.parametrize("kind", KINDS)
def test_every_backend_repeats_one_of_a_kind(framework_backend: type[Backend], kind: str) -> None:
    [case] = [case for case in CASES if case["test"] == KINDS[kind]]
    assert error(framework_backend, case) < limit(case)


def test_the_cases_tell_what_can_be_mistaken() -> None:
    """Gates, reset form, lengths and directions: a wrong one is far off."""
    by_name = {case["test"]: case for case in CASES}
    for name in ("MixedSequenceLengths", "ONNXRuntime_TestLSTMZeroSeqInMiddle"):
        assert error(NumpyBackend, by_name[name], gates=[0, 2, 1, 3]) > 0.005
    for kind in ("GRU, before", "GRU, after"):
        case = by_name[KINDS[kind]]
        other = 1 - case["linear_before_reset"]
        assert error(NumpyBackend, case, linear_before_reset=other) > 0.005
        assert error(NumpyBackend, case, gates=FROM_ONNX["GRU"][::-1]) > 0.005
    assert error(NumpyBackend, by_name[KINDS["RNN"]], lengths=[5, 5]) > 0.005
    assert error(NumpyBackend, by_name[KINDS["RNN"]], direction="reverse") > 0.005
