"""The recurrent and dense layers among the parameters of a flax model, by names and shapes.

The names in a file are the paths in the tree of parameters, joined by `/` or `.`. What the children
of a path are called tells the cell, and whether linen or nnx has it:

    linen                  i, h (SimpleCell); ii, if, ig, io, hi, … (LSTM); ir, iz, in, … (GRU)
    nnx.LSTMCell           as linen's, but if_
    nnx, all others        dense_i, dense_h; the kernel's width tells the cell

OptimizedLSTMCell of linen has the parameters of its LSTMCell.
"""

from harness.core.errors import ConfigError
from harness.readers.foreign_network import refuse
from harness.readers.tensor_files.recurrent_stacks import (
    ROOT,
    Dense,
    Layer,
    Layers,
    cell_of,
    chains,
)
from harness.readers.tensor_files.tensor_file import REMEDY, TensorFile

GATE_NAMES = {"rnn": ("",), "lstm": ("i", "f", "g", "o"), "gru": ("z", "r", "n")}  # canonical order
BIASES = {"rnn": ("i",), "lstm": ("hi", "hf", "hg", "ho"), "gru": ("iz", "ir", "in", "hn")}
NO_NETWORK = {  # children of other cells of flax
    frozenset({"if", "in", "hf", "hn"}): "a minimal gated unit (MGUCell)",
    frozenset({"ih", "hh"}): "a convolutional LSTM (ConvLSTMCell)",
}

Path = tuple[str, ...]
Children = dict[str, str]  # such as dense_i.kernel -> its name in the file


def separator(file: TensorFile) -> str:
    """Return what joins the names of a path in a file."""
    return "/" if any("/" in name for name in file.types) else "."


def layers_of(file: TensorFile) -> Layers:
    """Return all layers of a file. Raises `ConfigError` where it has no recurrent one."""
    params = _params(file)
    tree: dict[Path, Children] = {}
    for path, name in params.items():
        if path[-1] in ("kernel", "bias") and len(path) > 1:
            tree.setdefault(path[:-2], {})[f"{path[-2].rstrip('_')}.{path[-1]}"] = name
    recurrent = [layer for path in tree if (layer := _layer(file, path, tree[path]))]
    if not recurrent:
        names = ", ".join(list(file.types)[:5])
        raise ConfigError(f"{file.path}: has no recurrent cell of flax; it has {names}.")
    used = {name for layer in recurrent for name in layer.arrays}
    return Layers(
        stacks=chains(recurrent),
        dense=_dense(file, {path: name for path, name in params.items() if name not in used}),
        aside=file.types.keys() - params.values(),
    )


def _params(file: TensorFile) -> dict[Path, str]:
    """Return the names by their paths: those below `params`, where there are such.

    The memory of an optimiser, in the file of a whole training state, repeats them.
    """
    paths = {tuple(name.split(separator(file))): name for name in file.types}
    return {path: name for path, name in paths.items() if path[0] == "params"} or paths


def _layer(file: TensorFile, path: Path, children: Children) -> Layer | None:
    found = frozenset(child.partition(".")[0] for child in children)
    name = separator(file).join(path) or ROOT
    if what := NO_NETWORK.get(found):
        raise refuse(file.path, name, what)
    fused = {"dense_i", "dense_h"} <= found
    cells = [cell for cell, gates in GATE_NAMES.items() if _parts(gates) <= found]
    if not fused and not cells:
        return None
    if "backward_rnn" in path:
        raise refuse(file.path, name, "of a second direction")
    return _fused(file, name, children) if fused else _separate(file, name, children, cells[0])


def _parts(gates: tuple[str, ...]) -> set[str]:
    return {f"{side}{gate}" for side in "ih" for gate in gates}


def _fused(file: TensorFile, name: str, children: Children) -> Layer:
    kernel, recurrent = (_part(file, name, children, f"dense_{side}.kernel") for side in "ih")
    units, width = file.matrix(recurrent)
    features, cell = file.matrix(kernel)[0], cell_of(file, recurrent, width, units)
    bias = _part(file, name, children, f"dense_{'h' if cell == 'lstm' else 'i'}.bias")
    file.check_shape(kernel, (features, width))
    file.check_shape(bias, (width,))
    return Layer(
        name=name,
        cell=cell,
        features=features,
        units=units,
        biases="single",
        arrays=(kernel, recurrent, bias),
    )


def _separate(file: TensorFile, name: str, children: Children, cell: str) -> Layer:
    gates = GATE_NAMES[cell]
    kernels, recurrent = (
        [_part(file, name, children, f"{side}{gate}.kernel") for gate in gates] for side in "ih"
    )
    biases = [_part(file, name, children, f"{part}.bias") for part in BIASES[cell]]
    features, units = file.matrix(kernels[0])
    for arrays, shape in (
        (kernels, (features, units)),
        (recurrent, (units, units)),
        (biases, (units,)),
    ):
        for array in arrays:
            file.check_shape(array, shape)
    return Layer(
        name=name,
        cell=cell,
        features=features,
        units=units,
        biases="candidate" if cell == "gru" else "single",
        arrays=(*kernels, *recurrent, *biases),
    )


def _part(file: TensorFile, name: str, children: Children, part: str) -> str:
    if part not in children:
        what = f"{part.replace('.', separator(file))} of {name}"
        raise ConfigError(f"{file.path}: {what} is missing; {REMEDY}.")
    return children[part]


def _dense(file: TensorFile, params: dict[Path, str]) -> list[Dense]:
    found: list[Dense] = []
    for path, name in params.items():
        shape, bias = file.shapes[name], params.get((*path[:-1], "bias"))
        if path[-1] == "kernel" and len(shape) == 2:
            has_bias = bias is not None and file.shapes[bias] == shape[1:]
            found.append(
                Dense(
                    name=separator(file).join(path[:-1]) or ROOT,
                    features=shape[0],
                    outputs=shape[1],
                    kernel=name,
                    bias=bias if has_bias else None,
                )
            )
    return found
