"""The layers of a `.keras` archive's model as a graph.

A layer's sources are the layers whose outputs it takes, past those that do nothing at inference.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.readers.foreign_network import refuse

# The names that Keras gives to the groups of a layer's arrays.
RECURRENT = {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}
CELLS = {"SimpleRNNCell": "simple_rnn_cell", "LSTMCell": "lstm_cell", "GRUCell": "gru_cell"}
DENSE = {"Dense": "dense", "TimeDistributed": "time_distributed"}
NOTHING_AT_INFERENCE = (
    "Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout",
    "ActivityRegularization", "Identity",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer of the graph."""

    name: str
    kind: str  # the name of its class in Keras
    config: dict[str, Any]
    group: str  # the path of its group in the file, if it may be part of the network
    sources: list[str]

    @property
    def array_group(self) -> str:
        """The path of the group of a dense layer's arrays, also of one inside TimeDistributed."""
        return f"{self.group}/layer" if self.kind == "TimeDistributed" else self.group

    @property
    def does_nothing(self) -> bool:
        """Whether its outputs are its inputs, at inference."""
        linear = self.kind == "Activation" and self.config["activation"] in (None, "linear")
        return linear or self.kind in NOTHING_AT_INFERENCE


def layers_of(path: Path, model: dict[str, Any]) -> dict[str, Layer]:
    """Return the layers of a model by name, in the order in which they act."""
    if model["class_name"] not in ("Sequential", "Functional"):
        raise refuse(path, "the model", f"of class {model['class_name']!r}")
    sequential = model["class_name"] == "Sequential"
    layers: dict[str, Layer] = {}
    counts: dict[str, int] = {}
    previous: list[str] = []
    for entry in model["config"]["layers"]:
        kind, config = entry["class_name"], entry["config"]
        own_name = str(config["name"] if sequential else entry["name"])
        if not f"{own_name}{kind}".isprintable():
            raise ValueError(f"a layer is called {own_name!r}, of class {kind!r}")
        inputs = previous if sequential else _inputs(path, own_name, entry["inbound_nodes"])
        sources = [source for name in inputs for source in _past(layers[name])]
        folder = (RECURRENT | DENSE).get(kind, "")
        group = f"layers/{folder}_{counts[folder]}" if folder in counts else f"layers/{folder}"
        counts[folder] = counts.get(folder, 0) + 1
        layers[own_name] = Layer(
            name=own_name, kind=kind, config=config, group=group, sources=sources
        )
        previous = [own_name]
    return layers


def _past(layer: Layer) -> list[str]:
    """Return the layer's name, or where it does nothing its sources."""
    return list(dict.fromkeys(layer.sources)) if layer.does_nothing else [layer.name]


def _inputs(path: Path, name: str, nodes: list[Any]) -> list[str]:
    if len(nodes) > 1:
        raise refuse(path, name, "a layer that is used more than once")
    if any(node["kwargs"].get("training") for node in nodes):
        raise refuse(path, name, "a layer that acts as in training")
    return _tensors(nodes)


def _tensors(part: Any) -> list[str]:
    """Return the layers whose outputs are among the arguments `part` of a layer's call."""
    if isinstance(part, dict) and part.get("class_name") == "__keras_tensor__":
        return [part["config"]["keras_history"][0]]
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [source for inner in parts for source in _tensors(inner)]
