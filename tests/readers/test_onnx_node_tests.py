"""The ONNX project's own node tests of RNN, LSTM and GRU: each agrees, or is refused by name.

Their weights are graph inputs; here they are made initializers with the test's data. Their weights
are constant, so they cannot see a swapped gate: `test_from_onnx.py` can.
"""

import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.backend.test.case import node as cases

from harness.core.errors import ConfigError
from harness.formats.reference import reference
from harness.readers.foreign_network import Stated
from harness.readers.onnx_files import from_onnx

Array = np.ndarray

AGREE = {
    "test_simple_rnn_defaults Y_h",
    "test_simple_rnn_with_initial_bias Y_h",
    "test_rnn_seq_length Y_h",
    "test_simple_rnn_batchwise Y",
    "test_simple_rnn_batchwise Y_h",
    "test_lstm_defaults Y_h",
    "test_lstm_with_initial_bias Y_h",
    "test_lstm_batchwise Y",
    "test_lstm_batchwise Y_h",
    "test_gru_defaults Y_h",
    "test_gru_with_initial_bias Y_h",
    "test_gru_seq_length Y_h",
    "test_gru_batchwise Y",
    "test_gru_batchwise Y_h",
}
REFUSED = {
    "test_simple_rnn_reverse Y_h": "direction=reverse",
    "test_simple_rnn_bidirectional Y_h": "direction=bidirectional",
    "test_lstm_with_peepholes Y_h": "peepholes (P)",
    "test_lstm_reverse Y_h": "direction=reverse",
    "test_lstm_reverse Y_c": "direction=reverse",
    "test_lstm_bidirectional Y_h": "direction=bidirectional",
    "test_lstm_bidirectional Y_c": "direction=bidirectional",
    "test_gru_reverse Y": "direction=reverse",
    "test_gru_reverse Y_h": "direction=reverse",
    "test_gru_bidirectional Y": "direction=bidirectional",
    "test_gru_bidirectional Y_h": "direction=bidirectional",
}


@pytest.fixture(scope="module")
def node_tests() -> list[Any]:
    """All node tests of the three operators; importing a module of theirs makes its cases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("rnn", "lstm", "gru"):
            import_module(f"{cases.__name__}.{name}")
    return list(cases._NodeTestCases)  # noqa: SLF001 - its public reader imports all operators


def with_weights(case: Any, path: Path, factor: float = 1) -> Array:
    """Write a test's model, its weights as initializers, times `factor`; return its input X."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    [(inputs, _)] = case.data_sets
    names = [info.name for info in model.graph.input]
    for name, value in list(zip(names, inputs, strict=True))[1:]:
        scaled = value if value.dtype.kind == "i" else (value * factor).astype(value.dtype)
        model.graph.initializer.append(onnx.numpy_helper.from_array(scaled, name))
    del model.graph.input[1:]
    onnx.save(model, path)
    return inputs[0]


def outcomes(node_tests: list[Any], path: Path, factor: float = 1) -> dict[str, Any]:
    """The largest difference from each expected output, or the reason for a refusal."""
    found: dict[str, Any] = {}
    for case in node_tests:
        x = with_weights(case, path, factor)
        [node] = case.model.graph.node
        batch_first = any(a.name == "layout" and a.i for a in node.attribute)
        x = x if batch_first else x.swapaxes(0, 1)
        for name, expected in zip(filter(None, node.output), case.data_sets[0][1], strict=True):
            try:
                network = from_onnx.read(path, Stated(only=name)).network
            except ConfigError as error:
                found[f"{case.name} {name}"] = str(error)
                continue
            directions = {"Y": 2, "Y_h": 1 if batch_first else 0}[name]
            difference = reference(network, x) - expected.squeeze(directions)
            found[f"{case.name} {name}"] = float(np.abs(difference).max())
    return found


def test_each_agrees_or_is_refused_by_what_it_uses(node_tests: list[Any], tmp_path: Path) -> None:
    found = outcomes(node_tests, tmp_path / "model.onnx")
    refused = {name: value for name, value in found.items() if isinstance(value, str)}
    assert len(node_tests) == 18
    assert found.keys() - refused.keys() == AGREE
    assert refused.keys() == REFUSED.keys()
    for name, reason in REFUSED.items():
        assert reason in refused[name]
    assert max(found[name] for name in AGREE) < 1e-5


def test_other_weights_do_not_agree(node_tests: list[Any], tmp_path: Path) -> None:
    found = outcomes(node_tests, tmp_path / "model.onnx", factor=0.1)  # some saturate
    assert min(found[name] for name in AGREE) > 1e-4
