"""Files of PyTorch, written by PyTorch from random weights, against the NumPy reference."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from harness.core.tolerances import LIMITS
from harness.readers.foreign_network import ForeignNetwork, Stated
from harness.readers.tensor_files.from_torch import read
from tests.readers.together import complaint, damaged_copies, distances

pytestmark = pytest.mark.slow

KINDS: dict[str, Any] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS: dict[str, Any] = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
SAID = Stated(returns="last", outputs="values", activation="tanh")


class Model(nn.Module):
    """A stack inside a larger module, with a head and an embedding."""

    def __init__(self, cell: str, **more: Any) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.encoder = nn.ModuleDict({"body": KINDS[cell](3, 5, batch_first=True, **more)})
        self.head = nn.Linear(5, 2)


def stated(cell: str, **more: Any) -> Stated:
    return replace(SAID, activation="tanh" if cell == "rnn" else None, **more)


def write(state: dict[str, Any], path: Path, wrapper: str | None = None) -> Path:
    """Write a state_dict in the format of the path's ending."""
    if path.suffix == ".safetensors":
        save_file({name: value.contiguous() for name, value in state.items()}, path)
    else:
        torch.save({"epoch": 3, wrapper: state} if wrapper else state, path)
    return path


def message(path: Path, said: Stated = SAID) -> str:
    return complaint(read, path, said)


def test_pytorch_computes_what_was_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    found: list[ForeignNetwork] = []
    endings = ("safetensors", "pt")
    cases = product(KINDS, (1, 2), ("float32", "float64"), ("last", "every_step"), endings)
    for n, (cell, layers, precision, returns, ending) in enumerate(cases):
        model = Model(cell, num_layers=layers).to(getattr(torch, precision))
        wrapper = (None, "state_dict", "model", "model_state_dict")[n // 2 % 4]
        path = write(model.state_dict(), tmp_path / f"{n}.{ending}", wrapper)
        said = stated(cell, returns=returns)
        said = replace(said, outputs="probabilities") if n % 3 == 1 else said
        said = replace(said, head="none") if n % 5 == 1 else said
        found.append(read(path, said))
        spec = found[-1].network.model
        assert (spec.cell, spec.units, spec.features, spec.layers) == (cell, 5, 3, layers)
        assert (spec.returns, spec.head) == (returns, "none" if n % 5 == 1 else "dense")
        assert spec.biases == "double"
        assert found[-1].network.precision == precision
    for one, error in zip(found, distances(found, tmp_path), strict=True):
        assert error <= LIMITS[one.network.precision].forward, one.usage


def test_other_forms_of_layers(tmp_path: Path) -> None:
    torch.manual_seed(1)
    relu = read(
        write(nn.RNN(3, 5, nonlinearity="relu").state_dict(), tmp_path / "a.pt"),
        replace(SAID, activation="relu"),
    )
    assert relu.network.model.activation == "relu"
    no_bias = Model("gru", bias=False)
    no_bias.head = nn.Linear(5, 2, bias=False)
    plain = read(write(no_bias.state_dict(), tmp_path / "b.safetensors"), stated("gru"))
    assert plain.notes == [
        "Not part of the network: embedding.weight.",
        "The file has no rnn.0.bias, head.bias: zeros take their place, 17 parameters more than "
        "the file has.",
    ]
    found = [relu, plain]
    for cell, kind in CELLS.items():
        cells = nn.ModuleDict({"cells": nn.ModuleList([kind(3, 5), kind(5, 5)])})
        path = write(cells.state_dict(), tmp_path / f"{cell}.pt")
        found.append(read(path, stated(cell)))
        assert found[-1].network.model.layers == 2
        assert found[-1].notes == [
            "Taken to follow each other in this order: cells.0, cells.1.",
        ]
    joined = nn.ModuleDict(
        {"a": nn.LSTM(3, 5), "b": nn.LSTM(5, 5, bias=False), "c": CELLS["lstm"](5, 5)}
    )
    path = write(joined.state_dict(), tmp_path / "joined.safetensors")
    found.append(read(path, stated("lstm", only="a+b+c")))
    assert found[-1].network.model.layers == 3
    for kind in (torch.float16, torch.bfloat16):
        for ending in ("pt", "safetensors"):
            path = tmp_path / f"{kind}.{ending}"
            half = read(write(Model("gru").to(kind).state_dict(), path), stated("gru"))
            assert half.network.precision == "float32"
            assert half.notes[-1] == f"Weights in {str(kind)[6:]} became float32."
            found.append(half)
    for one, error in zip(found, distances(found, tmp_path), strict=True):
        assert error <= LIMITS["float32"].forward, one.usage


def test_scales_of_our_own_export_are_read(tmp_path: Path) -> None:
    torch.manual_seed(2)
    scale = {"x_mean": [1.0, 2, 3], "x_std": [0.5, 2, 4], "y_mean": 7.0, "y_std": 3.0}
    scales = {name: torch.tensor(value, dtype=torch.float64) for name, value in scale.items()}
    model = nn.ModuleDict({"rnn": nn.LSTM(3, 5), "head": nn.Linear(5, 1)})
    path = write(model.state_dict() | scales, tmp_path / "model.safetensors")
    found = read(path, stated("lstm"))
    assert found.network.y_mean == 7
    assert found.notes == ["It has x_mean, x_std, y_mean, y_std: value = mean + std · scaled."]
    assert found.network.x_std.tolist() == [0.5, 2, 4]
    [error] = distances([found], tmp_path)
    assert error <= LIMITS["float32"].forward
    write(model.state_dict() | scales | {"x_std": torch.zeros(3)}, path)
    assert message(path, stated("lstm")) == "FILE: x_std must be positive; write the file anew."


@pytest.mark.parametrize(("cell", "order"), [("lstm", [0, 1, 3, 2]), ("gru", [1, 0, 2])])
def test_swapped_gates_are_far_away(tmp_path: Path, cell: str, order: list[int]) -> None:
    torch.manual_seed(3)
    path = write(Model(cell).state_dict(), tmp_path / "model.safetensors")
    found = read(path, stated(cell))
    state = load_file(path)
    name = "encoder.body.weight_ih_l0"
    parts = state[name].chunk(len(order))
    write(state | {name: torch.cat([parts[n] for n in order])}, path)
    [error] = distances([found], tmp_path)
    assert error > 1000 * LIMITS["float32"].forward


def test_what_the_file_cannot_say_is_asked_for(tmp_path: Path) -> None:
    path = write(Model("rnn").state_dict(), tmp_path / "model.pt")
    assert message(path, Stated()) == (
        "--activation: say tanh or relu: the weights of a SimpleRNN are the same with both."
    )
    assert message(path, Stated(activation="tanh")) == (
        "--returns: say last or every_step: FILE holds weights alone, which are the same with both."
    )
    assert message(path, Stated(activation="tanh", returns="last")) == (
        "--outputs: say values or probabilities: FILE holds weights alone, which are the same with "
        "both: probabilities come from a sigmoid."
    )
    assert message(path, replace(SAID, reset="after")) == (
        "--reset after: FILE has layers of SimpleRNN, without such; leave the option out."
    )
    assert message(path, replace(SAID, only="encoder.bodi")) == (
        "--only encoder.bodi: FILE has no recurrent layer encoder.bodi; it has encoder.body. Did "
        "you mean 'encoder.body'?"
    )
    assert message(path, replace(SAID, head="embedding")) == (
        "--head embedding: must be a dense layer of FILE that takes 5 features: head, none."
    )
    gru = write(Model("gru").state_dict(), tmp_path / "gru.pt")
    assert message(gru, stated("gru", reset="before")).endswith(
        "has GRU layers whose reset gate acts after the recurrent product; leave the option out."
    )
    bare = write(nn.LSTM(3, 5).state_dict(), tmp_path / "bare.pt")
    assert message(bare, stated("lstm", only="x")) == (
        "--only x: FILE has no recurrent layer x; it has .."
    )
    assert message(gru, replace(SAID, activation="relu")) == (
        "--activation relu: FILE has layers of GRU, which is tanh; leave the option out."
    )


def test_several_stacks_or_heads_are_asked_for(tmp_path: Path) -> None:
    two = nn.ModuleDict({"a": nn.LSTM(3, 5), "b": nn.LSTM(5, 7), "x": nn.Linear(5, 1)})
    two["y"] = nn.Linear(5, 4)
    path = write(two.state_dict(), tmp_path / "two.pt")
    said = stated("lstm")
    assert message(path, said) == (
        "--only: say a or b: FILE has several; join names by + if they follow."
    )
    assert message(path, replace(said, only="a")) == (
        "--head: say x or y or none: each of them could take the 5 outputs of a."
    )
    found = read(path, replace(said, only="a", head="y"))
    assert found.network.model.outputs == 4
    assert found.notes == [
        "Not part of the network: b.weight_ih_l0, b.weight_hh_l0, b.bias_ih_l0, b.bias_hh_l0, "
        "x.weight and 1 more arrays."
    ]
    assert message(path, replace(said, only="b+a")) == (
        "--only b+a: a takes 3 features, and b gives 7; name layers that follow each other."
    )
    assert message(path, replace(said, only="a+b")) == (
        "FILE: b is a layer of 7 units after one of 5, which no network here has."
    )


REFUSED = {
    "reverse": (nn.LSTM(3, 5, bidirectional=True), "weight_hh_l0_reverse is of a second direction"),
    "projection": (
        nn.LSTM(3, 5, proj_size=2),
        "weight_hr_l0 is the weight of a projection (proj_size)",
    ),
    "second dense layer": (
        nn.ModuleDict({"r": nn.GRU(3, 5), "h": nn.Linear(5, 4), "i": nn.Linear(4, 1)}),
        "i is a dense layer that fits the outputs of h",
    ),
    "norm": (
        nn.ModuleDict({"r": nn.GRU(3, 5), "n": nn.LayerNorm(5), "h": nn.Linear(5, 4)}),
        "n.bias is an array of 5 values that may act on the network's outputs",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_network_here_has_is_refused(tmp_path: Path, name: str) -> None:
    model, why = REFUSED[name]
    path = write(model.state_dict(), tmp_path / "model.safetensors")
    said = message(path, stated("gru"))
    assert said.startswith(f"FILE: {why}, which no network here has")
    if "head" in said:
        assert said.endswith("; leave it out by --head h, or --head none.")
        assert read(path, stated("gru", head="h")).network.model.outputs == 4


def test_cells_of_others_are_refused(tmp_path: Path) -> None:
    weights = {"cell.weight_ih": torch.ones(15, 3), "cell.weight_hh": torch.ones(15, 5)}
    path = write(weights | {"cell.bias": torch.ones(15)}, tmp_path / "equinox.safetensors")
    assert message(path) == (
        "FILE: cell.bias is not of a cell of PyTorch's, which no network here has; equinox' cells "
        "are not read here."
    )


def test_damaged_shapes_are_one_line(tmp_path: Path) -> None:
    state, path = Model("lstm", num_layers=2).state_dict(), tmp_path / "model.pt"
    body = "encoder.body."
    changes: dict[str, tuple[str, Any, str]] = {
        "weight_hh_l0": (
            "weight_hh_l0",
            torch.ones(11, 5),
            "has gates of 11 values; with 5 units it must be",
        ),
        "weight_ih_l1": ("weight_ih_l1", torch.ones(20, 3), "is (20, 3); with its other arrays"),
        "bias_hh_l1": ("bias_hh_l1", torch.ones(3), "is (3,); with its other arrays"),
        "bias_ih_l0": ("bias_ih_l0", None, "is missing"),
        "weight_hh_l1": ("weight_hh_l0", None, "weight_hh_l0 is missing"),
        "one axis": ("weight_ih_l0", torch.ones(5), "is (5,); it must have two axes"),
        "nan": ("weight_hh_l0", torch.full((20, 5), torch.nan), "has values that are NaN"),
        "int": ("weight_hh_l0", torch.ones(20, 5, dtype=torch.int8), "is int8; it must be"),
        "huge": ("weight_hh_l0", torch.ones(1).expand(4 * 10**6, 10**6), "is larger than the file"),
    }
    for name, values, why in changes.values():
        changed = {k: v for k, v in state.items() if k != body + name}
        write(changed if values is None else changed | {body + name: values}, path)
        said = message(path, stated("lstm"))
        assert why in said, said
        assert said.startswith(f"FILE: {body}"), said


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(nn.LSTM(3, 5), path)
    assert message(path) == (
        "FILE: holds Python objects, and nothing is unpickled here; save the model's state_dict "
        "alone: torch.save(model.state_dict(), path)."
    )
    torch.save(nn.LSTM(3, 5).state_dict(), path, _use_new_zipfile_serialization=False)
    assert message(path).startswith("FILE: is a pickle, and nothing is unpickled here; save")
    torch.save([torch.ones(3)], path)
    assert message(path).startswith("FILE: holds no state_dict; save the model's state_dict")
    torch.save({"w": torch.ones(3)}, path)
    assert message(path) == "FILE: has no weight_hh of a recurrent layer of PyTorch; it has w."


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_no_damaged_file_gives_more_than_a_line(tmp_path: Path, ending: str) -> None:
    path = write(Model("lstm").state_dict(), tmp_path / f"model.{ending}")
    complaints = {complaint(read, path, stated("lstm")) for _ in damaged_copies(path, 60)}
    assert len(complaints) > 5
