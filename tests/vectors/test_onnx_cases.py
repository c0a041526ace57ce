"""ONNX' own node cases for RNN, LSTM and GRU, as the installed `onnx` package computes them
(`onnx.backend.test.case.node`: rnn.py, lstm.py, gru.py), against the NumPy reference.

What they cannot see: all but `test_rnn_seq_length` and `test_gru_seq_length` have one constant for
all weights, so that gates, rows and columns can be exchanged without a trace; no LSTM case has
random weights, and no GRU case has `linear_before_reset=1`. The last two tests here show it.
"""

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from backends import Array
from backends.numpy_backend import NumpyBackend
from tests.vectors.layer import SEVEN_DIGITS
from tests.vectors.onnx_layer import FROM_ONNX, node

KINDS = ("defaults", "with_initial_bias", "batchwise", "reverse", "bidirectional")
EXPRESSED = {
    "RNN": [*(f"test_simple_rnn_{kind}" for kind in KINDS), "test_rnn_seq_length"],
    "LSTM": [f"test_lstm_{kind}" for kind in KINDS],
    "GRU": [*(f"test_gru_{kind}" for kind in KINDS), "test_gru_seq_length"],
}
NAMES = [name for names in EXPRESSED.values() for name in names]
LEFT_OUT = {"test_lstm_with_peepholes": "our LSTM has no peepholes"}


@dataclass(frozen=True)
class Published:
    """A case: its operator, the inputs by the standard's names, attributes, expected outputs."""

    op: str
    inputs: dict[str, Array]
    attributes: dict[str, Any]
    outputs: dict[str, Array]

    def ours(self, **changes: Any) -> dict[str, Array]:
        """Y and Y_h as our layer computes them, in the case's layout."""
        batch_first = self.attributes.get("layout", 0)
        given, names = dict(self.inputs), {"sequence_lens": "lengths"}
        for state in ("initial_h", "initial_c"):
            assert not given.pop(state, np.zeros(1)).any()  # ours begin at 0
        if batch_first:
            given["X"] = given["X"].swapaxes(0, 1)
        settings: dict[str, Any] = {names.get(n, n): value for n, value in given.items()}
        for name in ("direction", "linear_before_reset"):
            if name in self.attributes:
                settings[name] = self.attributes[name]
        Y = node(NumpyBackend, self.op, **settings | changes)
        first, last = Y[:, :1], Y[:, 1:]  # the reverse direction ends at the first step
        if self.attributes.get("direction") == "reverse":
            Y_h = first[0]
        else:
            Y_h = np.concatenate([first[-1], last[0]])
        if batch_first:
            Y, Y_h = Y.transpose(2, 0, 1, 3), Y_h.swapaxes(0, 1)
        return {"Y": Y, "Y_h": Y_h}

    def agree(self, **changes: Any) -> bool:
        """Within float32's rounding; the standard itself allows 1e-3."""
        ours = self.ours(**changes)
        return all(
            np.allclose(ours[name], value, rtol=0, atol=SEVEN_DIGITS)
            for name, value in self.outputs.items()
        )


@cache
def published() -> dict[str, Published]:
    """Every case by its name, as the package's own code exports it, seed included. The cell state
    Y_c is left out: a backend gives outputs, not cells."""
    found: dict[str, Published] = {}
    kept = np.random.get_state()
    for op in EXPRESSED:
        module: Any = import_module(f"onnx.backend.test.case.node.{op.lower()}")

        def record(made: Any, inputs: Any, outputs: Any, name: str, op: str = op) -> None:
            from onnx.helper import get_attribute_value

            named = dict(zip([n for n in made.input if n], inputs, strict=True))
            wanted = dict(zip([n for n in made.output if n], outputs, strict=True))
            wanted.pop("Y_c", None)
            values: Any = {a.name: get_attribute_value(a) for a in made.attribute}
            words = {n: v.decode() if isinstance(v, bytes) else v for n, v in values.items()}
            found[name] = Published(op, named, words, wanted)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "expect", record)
            for name, export in vars(getattr(module, op)).items():
                if name.startswith("export"):
                    np.random.seed(0)
                    export.__func__()
    np.random.set_state(kept)
    return found


def test_no_case_is_forgotten() -> None:
    assert len(published()) == 18
    assert len(NAMES) == 17
    assert {*NAMES, *LEFT_OUT} == set(published()), "express the others, or say why not"


@pytest.mark.parametrize("name", NAMES)
def test_our_layer_repeats_the_case(name: str) -> None:
    case = published()[name]
    ours = case.ours()
    assert case.outputs
    for output, value in case.outputs.items():
        assert ours[output].shape == value.shape
        np.testing.assert_allclose(ours[output], value, rtol=0, atol=SEVEN_DIGITS, err_msg=output)


def test_what_is_left_out_has_what_we_lack() -> None:
    assert published()["test_lstm_with_peepholes"].inputs["P"].any()


def test_all_but_one_case_cannot_tell_gates_apart() -> None:
    gated = {name: published()[name] for name in [*EXPRESSED["LSTM"], *EXPRESSED["GRU"]]}
    backwards = {op: order[::-1] for op, order in FROM_ONNX.items()}
    told = {name for name, case in gated.items() if not case.agree(gates=backwards[case.op])}
    assert told == {"test_gru_seq_length"}


def test_no_case_has_the_reset_gate_after_the_product() -> None:
    grus = [published()[name] for name in EXPRESSED["GRU"]]
    assert not any(case.attributes.get("linear_before_reset") for case in grus)
    assert not published()["test_gru_seq_length"].agree(linear_before_reset=1)
