"""Files of flax' parameters, by linen and nnx, with random values, against the NumPy reference."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import jax
import ml_dtypes
import msgpack
import numpy as np
import pytest
from flax import linen, nnx
from flax.serialization import msgpack_serialize, to_bytes
from flax.traverse_util import flatten_dict
from safetensors.flax import save_file as save_jax
from safetensors.numpy import save_file

from harness.core.tolerances import LIMITS
from harness.readers.foreign_network import ForeignNetwork, Stated
from harness.readers.tensor_files.from_jax import read
from tests.readers.together import complaint, damaged_copies, distances

pytestmark = pytest.mark.slow

LINEN: dict[str, Any] = {
    "SimpleCell": linen.SimpleCell,
    "LSTMCell": linen.LSTMCell,
    "OptimizedLSTMCell": linen.OptimizedLSTMCell,
    "GRUCell": linen.GRUCell,
}
NNX: dict[str, Any] = {
    "SimpleCell": nnx.SimpleCell,
    "LSTMCell": nnx.LSTMCell,
    "OptimizedLSTMCell": nnx.OptimizedLSTMCell,
    "GRUCell": nnx.GRUCell,
}
CELL = {"SimpleCell": "rnn", "LSTMCell": "lstm", "OptimizedLSTMCell": "lstm", "GRUCell": "gru"}

Tree = dict[Any, Any]


class Linen(linen.Module):
    """A stack with a head."""

    cell: str
    layers: int

    @linen.compact
    def __call__(self, x: Any) -> Any:
        for _ in range(self.layers):
            x = linen.RNN(LINEN[self.cell](5))(x)
        return linen.Dense(2)(x)


def linen_tree(cell: str, layers: int) -> Tree:
    tree = jax.eval_shape(
        Linen(cell, layers).init, jax.random.key(0), np.zeros((1, 2, 3), np.float32)
    )
    return dict(tree)


def nnx_tree(cell: str, layers: int) -> Tree:
    def build() -> Any:
        rngs = nnx.Rngs(0)
        cells = [NNX[cell](5 if n else 3, 5, rngs=rngs) for n in range(layers)]
        model = {
            "layers": [nnx.RNN(c, rngs=rngs) for c in cells],
            "head": nnx.Linear(5, 2, rngs=rngs),
        }
        return nnx.to_pure_dict(nnx.state(model, nnx.Param))

    return jax.eval_shape(build)


def drawn(tree: Tree, seed: int, kind: Any = np.float32) -> Tree:
    """Random values in the shapes of a tree."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: (0.5 * rng.normal(size=leaf.shape)).astype(kind), tree)


def flat(tree: Tree, between: str) -> dict[str, Any]:
    return {between.join(map(str, path)): v for path, v in flatten_dict(tree).items()}


def write(tree: Tree, path: Path) -> Path:
    """Write a tree in the format of the path's ending."""
    if path.suffix == ".msgpack":
        path.write_bytes(to_bytes(tree))
    elif path.suffix == ".npz":
        arrays: Any = flat(tree, "/")
        np.savez_compressed(path, allow_pickle=False, **arrays)
    else:
        save_file(flat(tree, "."), path)
    return path


def stated(cell: str, **more: Any) -> Stated:
    activation = "tanh" if cell == "SimpleCell" else None
    return replace(Stated(returns="last", outputs="values", activation=activation), **more)


def message(path: Path, said: Stated | None = None) -> str:
    return complaint(read, path, said or stated("LSTMCell"))


@pytest.mark.parametrize("tree_of", [linen_tree, nnx_tree])
def test_flax_computes_what_was_read(tmp_path: Path, tree_of: Callable[[str, int], Tree]) -> None:
    found: list[ForeignNetwork] = []
    endings = ("msgpack", "npz", "safetensors")
    cases = product(CELL, (1, 2), ("float32", "float64"))
    for n, (cell, layers, precision) in enumerate(cases):
        returns = ("last", "every_step", "every_step")[n % 3]
        tree = drawn(tree_of(cell, layers), n, precision)
        path = write(tree, tmp_path / f"{n}.{endings[n % 3]}")
        said = stated(cell, returns=returns)
        said = replace(said, outputs="probabilities") if n % 4 == 1 else said
        said = replace(said, head="none") if n % 5 == 1 else said
        if cell == "SimpleCell":
            said = replace(said, activation="relu" if layers == 2 else "tanh")
        found.append(read(path, said))
        spec = found[-1].network.model
        assert (spec.cell, spec.units, spec.features, spec.layers) == (CELL[cell], 5, 3, layers)
        assert (spec.returns, spec.head) == (returns, "none" if n % 5 == 1 else "dense")
        linens_gru = cell == "GRUCell" and tree_of is linen_tree
        assert spec.biases == ("candidate" if linens_gru else "single")
        assert found[-1].network.precision == precision
        assert found[-1].notes[-1].startswith("Gates and activations are taken to be flax' own")
    for one, error in zip(found, distances(found, tmp_path), strict=True):
        assert error <= LIMITS[one.network.precision].forward, one.usage


def test_other_forms_of_files(tmp_path: Path) -> None:
    gru = linen_tree("GRUCell", 1)
    half = drawn(gru, 0, np.float16)
    brain = drawn(gru, 1, ml_dtypes.bfloat16)
    bare = drawn(gru, 2)["params"]["GRUCell_0"]
    del half["params"]["Dense_0"]["bias"]
    save_jax({k: jax.numpy.asarray(v) for k, v in flat(brain, "/").items()}, tmp_path / "d")
    (tmp_path / "e").write_bytes(msgpack_serialize(brain))
    paths = [
        write(half, tmp_path / "a.npz"),
        write(bare, tmp_path / "b.npz"),
        write(bare, tmp_path / "c.safetensors"),
        tmp_path / "d",
        tmp_path / "e",
    ]
    found = [read(path, stated("GRUCell")) for path in paths]
    assert found[0].notes[:2] == [
        "Weights in float16 became float32.",
        "The file has no head.bias: zeros take their place, 2 parameters more than the file has.",
    ]
    assert found[3].notes[0] == "Weights in bfloat16 became float32."
    assert [one.network.model.head for one in found] == ["dense", "none", "none", "dense", "dense"]
    for one, error in zip(found, distances(found, tmp_path), strict=True):
        assert error <= LIMITS["float32"].forward, one.usage


def test_a_training_state_is_read_by_its_params(tmp_path: Path) -> None:
    params = drawn(linen_tree("LSTMCell", 2), 0)["params"]
    memory = {"mu": drawn(params, 1), "nu": drawn(params, 2), "count": np.int32(7)}
    state = {"step": 7, "params": params, "opt_state": {"0": memory}}
    path = write(state, tmp_path / "state.msgpack")
    found = read(path, stated("LSTMCell"))
    assert found.network.model.layers == 2
    assert found.notes[0] == (
        "Taken to follow each other in this order: params/LSTMCell_0, params/LSTMCell_1."
    )
    assert found.notes[1].startswith("Not part of the network: opt_state/0/")
    [error] = distances([found], tmp_path)
    assert error <= LIMITS["float32"].forward


@pytest.mark.parametrize("cell", ["LSTMCell", "GRUCell"])
@pytest.mark.parametrize("tree_of", [linen_tree, nnx_tree])
def test_swapped_gates_are_far_away(
    tmp_path: Path, tree_of: Callable[[str, int], Tree], cell: str
) -> None:
    tree = drawn(tree_of(cell, 1), 0)
    path = write(tree, tmp_path / "model.npz")
    found = read(path, stated(cell))
    arrays: Any = flat(tree, "/")
    swaps = [name for name in arrays if re.search(r"/i[or]/kernel|dense_h/kernel", name)]
    [name] = swaps
    other = re.sub(r"/io/", "/ii/", re.sub(r"/ir/", "/iz/", name))
    if other == name:  # gates side by side
        arrays[name] = np.roll(arrays[name], 5, axis=1)
    else:
        arrays[name], arrays[other] = arrays[other], arrays[name]
    np.savez(path, allow_pickle=False, **arrays)
    [error] = distances([found], tmp_path)
    assert error > 1000 * LIMITS["float32"].forward


def test_what_the_file_cannot_say_is_asked_for(tmp_path: Path) -> None:
    path = write(drawn(nnx_tree("SimpleCell", 2), 0), tmp_path / "model.npz")
    assert message(path, Stated()) == (
        "--activation: say tanh or relu: the weights of a SimpleRNN are the same with both."
    )
    assert message(path, Stated(activation="relu")).startswith("--returns: say last or every_step")
    assert message(path, stated("SimpleCell", outputs=None)).startswith(
        "--outputs: say values or probabilities: FILE holds weights alone"
    )
    assert message(path, stated("SimpleCell", only="layers/1/cel")) == (
        "--only layers/1/cel: FILE has no recurrent layer layers/1/cel; it has "
        "layers/0/cell+layers/1/cell. Did you mean 'layers/1/cell'?"
    )
    second = read(path, stated("SimpleCell", only="layers/1/cell"))
    assert (second.network.model.layers, second.network.model.features) == (1, 5)
    assert message(path, stated("GRUCell", activation="tanh", reset="after")).endswith(
        "has layers of SimpleRNN, without such; leave the option out."
    )


REFUSED: dict[str, tuple[Any, str]] = {
    "MGU": (linen.RNN(linen.MGUCell(5)), "params.cell is a minimal gated unit (MGUCell)"),
    "bidirectional": (
        linen.Bidirectional(linen.RNN(linen.LSTMCell(5)), linen.RNN(linen.LSTMCell(5))),
        "params.backward_rnn.cell is of a second direction",
    ),
    "norm": (
        linen.Sequential([linen.RNN(linen.GRUCell(5)), linen.LayerNorm()]),
        "params.layers_1.bias is an array of 5 values that may act on the network's outputs",
    ),
    "dense": (
        linen.Sequential([linen.RNN(linen.GRUCell(5)), linen.Dense(4), linen.Dense(1)]),
        "params.layers_2 is a dense layer that fits the outputs of params.layers_1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_network_here_has_is_refused(tmp_path: Path, name: str) -> None:
    model, why = REFUSED[name]
    tree = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 2, 3), np.float32))
    path = write(drawn(tree, 0), tmp_path / "model.safetensors")
    assert message(path).startswith(f"FILE: {why}, which no network here has")


def test_damaged_arrays_are_one_line(tmp_path: Path) -> None:
    tree, path = drawn(nnx_tree("OptimizedLSTMCell", 1), 0), tmp_path / "model.npz"
    whole: Any = flat(tree, "/")
    kernel = "layers/0/cell/dense_h/kernel"
    features = np.ones((3, 19), "f")
    np.savez(path, **{**whole, "layers/0/cell/dense_i/kernel": features})
    assert message(path) == (
        "FILE: layers/0/cell/dense_i/kernel is (3, 19); with its other arrays it must be (3, 20): "
        "write it anew, or choose another file."
    )
    for values, why in (
        (np.ones((5, 11), "f"), f"{kernel} has gates of 11 values; with 5 units it must be"),
        (np.ones(5, "f"), f"{kernel} is (5,); it must have two axes"),
        (np.full((5, 20), np.nan), f"{kernel} has values that are NaN or infinite"),
        (np.ones((5, 20), "i1"), f"{kernel} is int8; it must be float16, bfloat16"),
        (np.full((5, 20), None), f"{kernel} is object; it must be float16, bfloat16"),
    ):
        np.savez(path, **{**whole, kernel: values})
        assert why in message(path), message(path)
    del whole["layers/0/cell/dense_h/bias"]
    np.savez(path, **whole)
    assert message(path) == (
        "FILE: dense_h/bias of layers/0/cell is missing; write it anew, or choose another file."
    )


def test_what_is_no_message_of_flax_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.msgpack"

    def array(shape: tuple[int, ...], kind: str, content: bytes) -> bytes:
        ext = msgpack.ExtType(1, msgpack.packb((shape, kind, content)))
        return msgpack.packb({"i": {"kernel": ext}}) or b""

    for content, why in (
        (array((10**10, 3), "float32", b""), "an array has 0 bytes and the shape [10000000000, 3]"),
        (array((-1, 3), "float32", b""), "an array is float32 of the shape [-1, 3]"),
        (array((1,), "O", b"12345678"), "an array is object of the shape [1]"),
        (array((1,), "nothing", b"1234"), "data type 'nothing' not understood"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", "max_array_len"),
        (b"\x81\xa1a\xc6\xff\xff\xff\xff", "FILE: cannot be read ("),
        (b"\x81" * 9, "FILE: cannot be read ("),
        (b"\x81\xa1a\x01", "FILE: has no arrays that can be read here"),
        (b"", "FILE: has no arrays that can be read here"),
        (b"\x89HDF\r\n\x1a\n\x00", "FILE: cannot be read ("),
    ):
        path.write_bytes(content)
        assert why in message(path), message(path)


@pytest.mark.parametrize("ending", ["npz", "safetensors", "msgpack"])
def test_no_damaged_file_gives_more_than_a_line(tmp_path: Path, ending: str) -> None:
    path = write(drawn(linen_tree("LSTMCell", 1), 0), tmp_path / f"model.{ending}")
    complaints = {message(path) for _ in damaged_copies(path, 60)}
    assert len(complaints) > 5
