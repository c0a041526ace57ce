"""What an ONNX file has and no network here has, contradictions and damage: one line each."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from harness.core.errors import ConfigError
from harness.readers.foreign_network import Stated
from harness.readers.onnx_files import from_onnx
from tests.support.onnx_models import (
    FEATURES,
    OUTPUTS,
    UNITS,
    cell,
    constant,
    insert,
    model,
    random,
    save,
    with_head,
)

NOTHING = Stated()


def reason(path: Path, stated: Stated = NOTHING) -> str:
    """The error of reading a file, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        from_onnx.read(path, stated)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(path), "FILE")


def error_of(path: Path) -> str:
    """The error of reading a file, or an empty string."""
    try:
        from_onnx.read(path, NOTHING)
    except ConfigError as error:
        return str(error)
    return ""


def refused(content: Any, tmp_path: Path) -> str:
    """What a model is, as the error says, and which of its nodes."""
    message = reason(save(content, tmp_path / "m.onnx"))
    begin, end = "FILE: node ", ", which no network here has."
    assert message.startswith(begin), message
    assert message.endswith(end), message
    return message.removeprefix(begin).removesuffix(end)


SETTINGS = [
    ({"direction": "reverse"}, "a layer with direction=reverse"),
    ({"clip": 3.0}, "a layer with clip=3"),
    ({"input_forget": 1}, "a layer with input_forget=1"),
    (
        {"activations": ["Sigmoid", "Relu", "Tanh"]},
        "a layer with the activations Sigmoid, Relu, Tanh",
    ),
    (
        {"activations": ["HardSigmoid", "Tanh", "Tanh"]},
        "a layer with the activations HardSigmoid, Tanh, Tanh",
    ),
]


@pytest.mark.parametrize(("attributes", "what"), SETTINGS)
def test_settings_of_a_layer(attributes: Any, what: str, tmp_path: Path) -> None:
    assert refused(with_head(**attributes), tmp_path) == f"layer_0 (LSTM) is {what}"


INPUTS = [
    (4, np.array([2, 1], np.int32), "a layer with sequence_lens"),
    (5, random(1, 1, UNITS), "a layer with an initial_h that is not zero"),
    (6, random(1, 1, UNITS), "a layer with an initial_c that is not zero"),
    (7, random(1, 3 * UNITS), "a layer with peepholes (P)"),
]


@pytest.mark.parametrize(("place", "value", "what"), INPUTS)
def test_inputs_of_a_layer(place: int, value: Any, what: str, tmp_path: Path) -> None:
    content = with_head()
    inputs = content.graph.node[0].input
    inputs.extend([""] * (place - len(inputs)))
    inputs.append(constant(content, "more", value))
    assert refused(content, tmp_path) == f"layer_0 (LSTM) is {what}"
    # Zeros do nothing; nor do the lengths of sequences that are all of full length.
    content.graph.initializer[-1].CopyFrom(numpy_helper.from_array(0 * value, "more"))
    if place == 4:
        content.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
        content.graph.initializer[-1].CopyFrom(numpy_helper.from_array(0 * value + 2, "more"))
    from_onnx.read(save(content, tmp_path / "m.onnx"), NOTHING)


def test_a_state_or_weights_from_outside(tmp_path: Path) -> None:
    content = with_head()
    content.graph.node[0].input.extend(["", "h"])
    kind = onnx.TensorProto.FLOAT
    content.graph.input.append(helper.make_tensor_value_info("h", kind, [1, "N", UNITS]))
    assert refused(content, tmp_path) == "layer_0 (LSTM) is a layer with an initial_h of its own"
    content.graph.node[0].input[5] = ""
    content.graph.node[0].input[2] = "h"
    what = "a layer whose R is computed from an input"
    assert refused(content, tmp_path) == f"layer_0 (LSTM) is {what}"


ELSE = "an operation beside recurrent layers, one dense layer and a sigmoid"
AFTER = [
    ("Softmax", [], {}, ELSE),
    ("Tanh", [], {}, ELSE),
    ("MatMul", [random(OUTPUTS, 4)], {}, "a second dense layer"),
    ("Mul", [random(OUTPUTS)], {}, "a product beside the dense layer's"),
    ("Add", [random(OUTPUTS)], {}, "a sum beside the dense layer's bias"),
    (
        "Cast",
        [],
        {"to": onnx.TensorProto.BFLOAT16},
        "a cast to another type than float16, float32 or float64",
    ),
    (
        "Gather",
        [np.array([0])],
        {"axis": 1},
        "an operation that takes a part of its input: only the last step, or all of them, can be "
        "taken",
    ),
]


@pytest.mark.parametrize(("op", "arrays", "attributes", "what"), AFTER)
def test_nodes_after_the_network(
    op: str, arrays: list[Any], attributes: Any, what: str, tmp_path: Path
) -> None:
    content = with_head()
    names = [constant(content, f"more_{n}", array) for n, array in enumerate(arrays)]
    insert(content, op, *names, **attributes)
    path = save(content, tmp_path / "m.onnx")
    expected = f"FILE: node extra ({op}) is {what}, which no network here has."
    if what.endswith("taken"):
        expected = (
            f"FILE: node extra ({op}) is an operation that takes a part of its input, which no "
            "network here has: only the last step, or all of them, can be taken."
        )
    assert reason(path) == expected
    # The stack alone is there, all the same.
    assert from_onnx.read(path, Stated(head="none")).network.model.head == "none"


def test_an_operator_of_another_domain(tmp_path: Path) -> None:
    content = with_head()
    insert(content, "Gelu")
    content.graph.node[-1].domain = "com.microsoft"
    content.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    content.graph.node[-1].name = "ex\ntra"
    assert refused(content, tmp_path) == "ex?tra (Gelu) is an operation of com.microsoft"


def test_an_embedding(tmp_path: Path) -> None:
    node, tensors = cell("LSTM", source="looked_up")
    tensors.append(numpy_helper.from_array(random(9, FEATURES), "table"))
    look_up = helper.make_node("Gather", ["table", "x"], ["looked_up"], name="embedding")
    content = model([look_up, node], tensors, {"Y_0": ["T", 1, "N", UNITS]}, sizes=("T", "N"))
    content.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64
    assert refused(content, tmp_path) == f"embedding (Gather) is {ELSE}"


def two_layers(op: str, **attributes: Any) -> Any:
    first, tensors = cell("LSTM")
    second, more = cell(op, 1, "h", **attributes)
    tensors += [*more, numpy_helper.from_array(np.array([1]), "one")]
    squeeze = helper.make_node("Squeeze", ["Y_0", "one"], ["h"], name="squeeze")
    outputs = {"Y_1": ["T", 1, "N", UNITS]}
    return model([first, squeeze, second], tensors, outputs)


def test_layers_of_several_kinds(tmp_path: Path) -> None:
    what = "layer_1 (GRU) is a layer of another kind or size than node layer_0 (LSTM)"
    assert refused(two_layers("GRU"), tmp_path) == what
    assert from_onnx.read(save(two_layers("LSTM"), tmp_path / "m.onnx"), NOTHING)


def test_the_cells_state_and_several_outputs(tmp_path: Path) -> None:
    node, tensors = cell("LSTM")
    state = [1, "N", UNITS]
    content = model([node], tensors, {"Y_0": ["T", 1, "N", UNITS], "Y_h_0": state, "Y_c_0": state})
    path = save(content, tmp_path / "m.onnx")
    expected = "--only: say Y_0 or Y_h_0 or Y_c_0: FILE has several outputs."
    assert reason(path) == expected
    assert reason(path, Stated(only="Y")) == (
        "--only Y: FILE has no such output; it has Y_0, Y_h_0, Y_c_0."
    )
    assert reason(path, Stated(only="Y_c_0")) == (
        "FILE: node layer_0 (LSTM) is a layer whose cells' state (Y_c) is an output or goes "
        "further, which no network here has."
    )
    found = from_onnx.read(path, Stated(only="Y_h_0"))
    assert found.network.model.returns == "last"
    assert found.notes == ["Other outputs are not part of the network: Y_0, Y_c_0."]


CONTRADICTIONS = [
    (Stated(activation="relu"), "--activation relu: FILE has tanh; leave the option out."),
    (Stated(reset="after"), "--reset after: FILE has no GRU; leave the option out."),
    (Stated(returns="every_step"), "--returns every_step: FILE has last; leave the option out."),
    (
        Stated(outputs="probabilities"),
        "--outputs probabilities: FILE has values; leave the option out.",
    ),
    (Stated(head="other"), "--head other: FILE has no such layer; say head or none."),
]


@pytest.mark.parametrize(("stated", "expected"), CONTRADICTIONS)
def test_options_that_contradict_the_file(stated: Stated, expected: str, tmp_path: Path) -> None:
    assert reason(save(with_head(), tmp_path / "m.onnx"), stated) == expected


# ------------------------------------------------------------------ damaged files


def test_no_onnx_file(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    damaged = "FILE: is no ONNX file, or is damaged: export it again."
    whole = with_head().SerializeToString()
    for content in (b"PK\x03\x04", pickle.dumps({"a": 1}), whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert reason(path) == damaged
    path.write_bytes(b"")
    assert reason(path) == (
        "FILE: is no valid ONNX file (The model does not have an ir_version set properly.); "
        "export it again."
    )
    path.unlink()
    assert reason(path).startswith("FILE: cannot be read (")


def test_any_byte_cut_off_or_changed_gives_one_line_or_a_network(tmp_path: Path) -> None:
    whole = with_head().SerializeToString()
    rng = np.random.default_rng(0)
    path = tmp_path / "m.onnx"
    for place in rng.integers(len(whole), size=200):
        changed = bytearray(whole)
        changed[place] = rng.integers(256)
        for content in (whole[:place], bytes(changed)):
            path.write_bytes(content)
            if message := error_of(path):
                assert "\n" not in message


def test_weights_that_are_not_finite_or_do_not_fit(tmp_path: Path) -> None:
    content = with_head()
    path = tmp_path / "m.onnx"
    wrong = random(1, 4 * UNITS, FEATURES)
    wrong[0, 0, 0] = np.nan
    content.graph.initializer[0].CopyFrom(numpy_helper.from_array(wrong, "W_0"))
    assert reason(save(content, path)) == ("FILE: has weights that are not finite; train it again.")
    content.graph.initializer[0].CopyFrom(numpy_helper.from_array(random(1, 7, 3), "W_0"))
    assert reason(save(content, path)) == (
        "FILE: is damaged: W, R and B of node layer_0 (LSTM) are (1, 7, 3), (1, 20, 5) and "
        "(1, 40), which do not fit one another or its hidden_size; export it again."
    )


def test_arrays_larger_than_the_file(tmp_path: Path) -> None:
    content = with_head()
    path = tmp_path / "m.onnx"
    content.graph.initializer[0].dims[1] = 10**10
    assert "is no valid ONNX file" in reason(save(content, path))
    content = with_head()
    huge = constant(content, "huge", np.array([10**6, 10**6]))
    value = numpy_helper.from_array(np.ones(1, np.float32))
    fill = helper.make_node("ConstantOfShape", [huge], ["filled"], name="fill", value=value)
    content.graph.node.insert(0, fill)
    content.graph.node[1].input[2] = "filled"
    assert refused(content, tmp_path) == (
        "fill (ConstantOfShape) is a constant larger than the file, such as an initial state that "
        "is not zero"
    )


def external(tmp_path: Path, location: str, length: int | None = None) -> Path:
    """A model whose first weights lie in another file, at `location`."""
    content = with_head()
    first = content.graph.initializer[0]
    array = numpy_helper.to_array(first)
    first.ClearField("raw_data")
    first.data_location = onnx.TensorProto.EXTERNAL
    entries = {"location": location, "length": str(length or array.nbytes)}
    for key, value in entries.items():
        first.external_data.add(key=key, value=value)
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    for place in (folder, tmp_path):
        (place / "data").write_bytes(array.tobytes())
    return save(content, folder / "m.onnx")


def test_arrays_in_another_file(tmp_path: Path) -> None:
    assert from_onnx.read(external(tmp_path, "data"), NOTHING)
    outside = "outside the model's folder: put the data beside the model and export it again."
    for location in ("../data", str(tmp_path / "data")):
        path = external(tmp_path, location)
        assert reason(path) == f"FILE: W_0 lies in {location}, {outside}"
    path = external(tmp_path, "link")
    (path.parent / "link").symlink_to(tmp_path / "data")
    assert reason(path) == f"FILE: W_0 lies in link, {outside}"
    path = external(tmp_path, "none")
    assert reason(path) == "FILE: W_0 lies in none, which is missing."
    bytes_of = "W_0 is [1, 20, 3], 240 bytes, which are not all in data; copy that file again."
    path = external(tmp_path, "data", length=10**10)
    assert reason(path) == f"FILE: {bytes_of}"
    path = external(tmp_path, "data")
    (path.parent / "data").write_bytes(b"\0" * 100)
    assert reason(path) == f"FILE: {bytes_of}"


def test_sizes_that_contradict_one_another(tmp_path: Path) -> None:
    """A shape that a node takes for 4 steps, then another for 6."""
    node, tensors = cell("LSTM")
    shapes = {"four": [4, -1, UNITS], "six": [6, -1, UNITS]}
    tensors += [numpy_helper.from_array(np.array(v), k) for k, v in shapes.items()]
    names = ["Y_0", "between", "y"]
    nodes = [
        helper.make_node("Reshape", [names[n], shape], [names[n + 1]], name=shape)
        for n, shape in enumerate(shapes)
    ]
    content = model([node, *nodes], tensors, {"y": ["T", "N", UNITS]})
    what = "six (Reshape) is an operation that mixes sequences, steps or units"
    assert refused(content, tmp_path) == what
    tensors[-1].CopyFrom(numpy_helper.from_array(np.array(shapes["four"]), "six"))
    content = model([node, *nodes], tensors, {"y": ["T", "N", UNITS]})
    found = from_onnx.read(save(content, tmp_path / "m.onnx"), NOTHING)
    assert found.sizes == (None, 4)
