"""The options of the layers of a `.keras` archive, and what they make of the network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.readers.foreign_network import Stated, refuse
from harness.readers.keras_files.chain import Chain, dense_activation, dense_config
from harness.readers.keras_files.graph import CELLS, Layer
from harness.readers.keras_files.parts import Parts, settle

CELL_OF = {
    "SimpleRNN": "rnn", "SimpleRNNCell": "rnn", "LSTM": "lstm", "LSTMCell": "lstm", "GRU": "gru",
    "GRUCell": "gru",
}  # fmt: skip
PRECISIONS = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
OTHER_NETWORKS = {
    "go_backwards": "a layer that goes backwards",
    "return_state": "a layer that returns its states",
    "time_major": "a layer whose first axis is time",
    "quantization_config": "a quantized layer",
    "lora_rank": "a layer with a low-rank part",
}
NOTES = {
    "stateful": "Keras keeps its states from batch to batch; here each sequence starts at zeros",
    "unroll": "Keras unrolls it for one number of steps; here it takes any number",
    "dropout": "its dropout does nothing at inference",
    "recurrent_dropout": "its recurrent dropout does nothing at inference",
}


@dataclass(frozen=True, kw_only=True)
class CellOptions:
    """The options of one recurrent cell."""

    layer: str  # the name of the layer that has it
    group: str  # the path of its arrays' group
    kind: str  # the name of its class in Keras
    options: dict[str, Any]  # the layer's, and the cell's own


def parts_of(path: Path, chain: Chain, stated: Stated) -> Parts:
    """Return the parts of the network; refuse options that no network here has."""
    cells = [cell for layer in chain.stack for cell in _cells(path, layer)]
    configs = [(cell.layer, cell.options) for cell in cells]
    configs += [(layer.name, dense_config(layer) or layer.config) for layer in chain.taken]
    for name, options in configs:
        _check_options(path, name, options)
    cell, activation, reset = _one_kind(path, cells)
    outputs = "probabilities" if _ends_in_sigmoid(path, chain) else "values"
    return Parts(
        cells=[cell.group for cell in cells],
        head=None if chain.head is None else chain.head.array_group,
        cell=cell,
        activation=settle(path, "activation", stated.activation, activation),
        reset=settle(path, "reset", stated.reset, reset),
        returns=settle(path, "returns", stated.returns, _returns(chain)),
        sigmoid=settle(path, "outputs", stated.outputs, outputs) == "probabilities",
        half=_half(path, [options for _, options in configs]),
        notes=chain.notes + _notes(cells),
    )


def _cells(path: Path, layer: Layer) -> list[CellOptions]:
    """Return the cells of a layer, of which RNN may have several that act one after the other."""
    if len(layer.sources) > 1:
        raise refuse(path, layer.name, "a layer with initial states or a mask of its own")
    place, outer = f"{layer.group}/cell", layer.config
    if layer.kind != "RNN":
        return [CellOptions(layer=layer.name, group=place, kind=layer.kind, options=outer)]
    cell = outer["cell"]
    stacked = cell["class_name"] == "StackedRNNCells"
    found: list[CellOptions] = []
    counts: dict[str, int] = {}
    for inner in cell["config"]["cells"] if stacked else [cell]:
        kind = inner["class_name"]
        if kind not in CELLS:
            raise refuse(path, layer.name, f"a recurrent layer of {kind}")
        number = counts[kind] = counts.get(kind, -1) + 1
        group = f"{place}/cells/{CELLS[kind]}" + (f"_{number}" if number else "")
        options = outer | inner["config"]
        group = group if stacked else place
        found.append(CellOptions(layer=layer.name, group=group, kind=kind, options=options))
    return found


def _check_options(path: Path, name: str, options: dict[str, Any]) -> None:
    for option, what in OTHER_NETWORKS.items():
        if options.get(option):
            raise refuse(path, name, what)


def _one_kind(path: Path, cells: list[CellOptions]) -> tuple[str, str, str]:
    """Return cell, activation and reset of a stack; refuse one of several kinds."""
    kinds = [_kind(path, cell) for cell in cells]
    for cell, kind in zip(cells, kinds, strict=True):
        if kind != kinds[0]:
            what = f"{cell.kind} ({', '.join(kind[1:])}) after {cells[0].kind} "
            raise refuse(path, cell.layer, f"{what}({', '.join(kinds[0][1:])})")
    return kinds[0]


def _kind(path: Path, cell: CellOptions) -> tuple[str, str, str]:
    kind, options = CELL_OF[cell.kind], cell.options
    valid = {"activation": ("tanh", "relu") if kind == "rnn" else ("tanh",)}
    if kind != "rnn":
        valid["recurrent_activation"] = ("sigmoid",)
    for option, words in valid.items():
        if options[option] not in words:
            what = f"a layer of class {cell.kind} with {option}={options[option]!r}"
            raise refuse(path, cell.layer, what)
    before = kind == "gru" and not options["reset_after"]
    return kind, options["activation"], "before" if before else "after"


def _ends_in_sigmoid(path: Path, chain: Chain) -> bool:
    own = chain.head is not None and dense_activation(path, chain.head) == "sigmoid"
    return own or chain.sigmoid is not None


def _returns(chain: Chain) -> str:
    *deeper, last = [layer.config["return_sequences"] for layer in chain.stack]
    if not all(deeper):
        raise ValueError("a recurrent layer gives its last step alone to the next one")
    return "every_step" if last else "last"


def _half(path: Path, configs: list[dict[str, Any]]) -> bool:
    """Whether any layer computes in float16 or bfloat16; refuse float64 beside anything else."""
    used = sorted({_policy(config["dtype"]) for config in configs})
    unknown = [policy for policy in used if policy not in PRECISIONS]
    if unknown or ("float64" in used and len(used) > 1):
        raise refuse(
            path, "the network", f"of the precision {', '.join(map(repr, unknown or used))}"
        )
    return any(policy not in ("float32", "float64") for policy in used)


def _policy(dtype: Any) -> str:
    return (
        dtype if isinstance(dtype, str) else str(dtype["config"].get("name", dtype["class_name"]))
    )


def _notes(cells: list[CellOptions]) -> list[str]:
    notes = [
        f"{cell.layer}: {note}."
        for cell in cells
        for option, note in NOTES.items()
        if cell.options.get(option)
    ]
    return list(dict.fromkeys(notes))
