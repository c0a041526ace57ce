"""Code that uses a state_dict by PyTorch's own layers and loader."""

from itertools import groupby

from harness.core.losses import gives_logits
from harness.formats.trained_network import Network
from harness.readers.tensor_files.choose_layers import Chosen
from harness.readers.tensor_files.recurrent_stacks import ROOT, Layer
from harness.readers.tensor_files.tensor_file import TensorFile

SAFETENSORS = """\
from safetensors.torch import load_file

state = load_file({path!r})
"""

PICKLED = """\

state = torch.load({path!r}, map_location="cpu", weights_only=True){inside}
"""

USAGE = """\
import torch
{load}

def loaded(layer, prefix):
    names = {{name: {key} for name in layer.state_dict()}}
    layer.load_state_dict({{name: state[key] for name, key in names.items()}})
    return layer.eval()


{layers}
with torch.no_grad():
    h = torch.as_tensor(x)
{forward}
    y = h.numpy()
"""


def usage(file: TensorFile, chosen: Chosen, network: Network) -> str:
    """Return code that computes `y` from `x`."""
    load = SAFETENSORS if file.format == "safetensors" else PICKLED
    inside = f"[{file.inside!r}]" if file.inside else ""
    modules = [list(group) for _, group in groupby(chosen.layers, lambda layer: layer.name)]
    lines = ["layers = ["]
    lines += [f"    {_layer(module, network)}," for module in modules]
    lines += ["]"]
    if chosen.head is not None:
        sizes = f"{chosen.head.features}, {chosen.head.outputs}"
        sizes += _bias(chosen.head.bias is not None)
        head = f"torch.nn.Linear({sizes}, dtype=torch.{network.precision})"
        lines.append(f"head = loaded({head}, {_prefix(chosen.head.name)!r})")
    return USAGE.format(
        load=load.format(path=str(file.path.resolve()), inside=inside).rstrip("\n"),
        key=_key(chosen.layers),
        layers="\n".join(lines),
        forward="\n".join(f"    {line}" for line in _forward(chosen.scales, network)),
    )


def _layer(module: list[Layer], network: Network) -> str:
    first = module[0]
    name = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}[first.cell]
    arguments = f"{first.features}, {first.units}, num_layers={len(module)}, batch_first=True"
    if network.model.activation == "relu":
        arguments += ', nonlinearity="relu"'
    arguments += _bias(first.biases != "none")
    return (
        f"loaded(torch.nn.{name}({arguments}, dtype=torch.{network.precision}), "
        f"{_prefix(first.name)!r})"
    )


def _bias(has: bool) -> str:
    return "" if has else ", bias=False"


def _prefix(name: str) -> str:
    return "" if name == ROOT else f"{name}."


def _key(layers: list[Layer]) -> str:
    """Return code for the name in the file: a cell's have no number of a layer."""
    if all("_l" in layer.arrays[0].rpartition(".")[2] for layer in layers):
        return "prefix + name"
    return 'prefix + (name if prefix + name in state else name.removesuffix("_l0"))'


def _forward(scales: set[str], network: Network) -> list[str]:
    lines = []
    if "x_mean" in scales:
        lines.append('h = h - state["x_mean"]')
    if "x_std" in scales:
        lines.append('h = h / state["x_std"]')
    lines.append(f"h = h.to(torch.{network.precision})")
    lines += ["for layer in layers:", "    h, _ = layer(h)"]
    if not network.model.every_step:
        lines.append("h = h[:, -1]")
    if network.model.head == "dense":
        lines.append("h = head(h)")
    if gives_logits(network.loss):
        lines.append("h = torch.sigmoid(h)")
    if network.standardised:
        lines.append("h = h.double()")
    lines += ['h = h * state["y_std"]'] if "y_std" in scales else []
    return [*lines, *(['h = h + state["y_mean"]'] if "y_mean" in scales else [])]
