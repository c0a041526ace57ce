"""PyTorch: `model.py` with plain `torch.nn` layers, and their state_dict in `model.safetensors`.

PyTorch's kernels are transposed, and the gates of its GRU are in the order r, z, n. It has no GRU
whose reset gate acts before the recurrent product, so `model.py` then has the code of one.
"""

import runpy
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import per_gate
from harness.core.losses import gives_logits
from harness.formats.trained_network import Network, about

USAGE = """\
import torch
from model import load

network = load()
with torch.no_grad():
    y = network(torch.as_tensor(x)).numpy()
"""

GATE_ORDER = {"rnn": [0], "lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}

GRU = '''

class ResetBeforeGRU(nn.Module):
    """A GRU layer as in Cho et al. 2014: its reset gate acts on the state, before the recurrent
    product. torch.nn.GRU applies it after the product. Gates in the order z, r, h."""

    def __init__(self, features, units):
        super().__init__()
        self.input = nn.Linear(features, 3 * units)
        self.recurrent = nn.Linear(units, 3 * units, bias=False)

    def forward(self, x):
        U_z, U_r, U_h = self.recurrent.weight.T.chunk(3, dim=1)
        h = x.new_zeros(x.shape[0], U_h.shape[0])
        states = []
        for a in self.input(x).unbind(dim=1):
            a_z, a_r, a_h = a.chunk(3, dim=-1)
            z = torch.sigmoid(a_z + h @ U_z)
            r = torch.sigmoid(a_r + h @ U_r)
            h = z * h + (1 - z) * torch.tanh(a_h + (r * h) @ U_h)
            states.append(h)
        return torch.stack(states, dim=1)
'''

MODULE = '''\
"""{about}"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn
{gru}

class Network(nn.Module):
    def __init__(self):
        super().__init__()
{layers}

    def forward(self, x):
{forward}


def load(path=Path(__file__).with_name("model.safetensors")):
    """The network with its trained weights."""
    network = Network(){double}
    network.load_state_dict(load_file(path))
    return network.eval()
'''


def write(network: Network, folder: Path) -> None:
    """Write `model.py` and `model.safetensors` into `folder`."""
    from safetensors.numpy import save_file

    # `np.ascontiguousarray` would give the scalars an axis.
    state = {n: np.array(v, order="C") for n, v in state_dict(network).items()}
    save_file(state, folder / "model.safetensors")
    (folder / "model.py").write_text(source(network), encoding="utf-8")


def build(network: Network) -> Any:
    """Return the `torch.nn.Module` that `model.py` defines, with the weights."""
    with tempfile.TemporaryDirectory() as folder:
        write(network, Path(folder))
        return runpy.run_path(str(Path(folder, "model.py")))["load"]()


def write_program(network: Network, steps: int, path: Path) -> None:
    """Write a program of `torch.export`, which needs no Python code and no pickle.

    It takes any number of sequences, all of `steps` steps: PyTorch's recurrent layers do not leave
    that number open in an exported program.
    """
    import torch

    shape = (2, steps, network.model.features)  # 0 or 1 sequences would be exported as a constant
    example = torch.zeros(shape, dtype=getattr(torch, network.outer_precision))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of attributes of PyTorch's own layers
        program = torch.export.export(
            build(network), (example,), dynamic_shapes=[{0: torch.export.Dim("N")}]
        )
        with path.open("wb") as file:  # by a path, its name would have to end in .pt2
            torch.export.save(program, file)


def state_dict(network: Network) -> dict[str, Array]:
    """Return PyTorch's state_dict: its names to arrays in its layout."""
    state: dict[str, Array] = {}
    order = GATE_ORDER[network.model.cell]
    for n, (W, U, b) in enumerate(network.layers):
        if network.resets_before:
            state[f"rnn.{n}.input.weight"], state[f"rnn.{n}.recurrent.weight"] = W.T, U.T
            state[f"rnn.{n}.input.bias"] = b.sum(axis=0)
            continue
        state[f"rnn.weight_ih_l{n}"] = per_gate(W, order).T
        state[f"rnn.weight_hh_l{n}"] = per_gate(U, order).T
        state[f"rnn.bias_ih_l{n}"], state[f"rnn.bias_hh_l{n}"] = per_gate(b, order)
    if network.model.head == "dense":
        state["head.weight"] = network.weights["head.kernel"].T
        state["head.bias"] = network.weights["head.bias"]
    if network.standardised:
        state |= {"x_mean": network.x_mean, "x_std": network.x_std}
    if network.rescaled:
        state |= {"y_mean": np.array(network.y_mean), "y_std": np.array(network.y_std)}
    return state


def source(network: Network) -> str:
    """Return the text of `model.py`."""
    double = "\n    network.double()  # it was trained in float64"
    return MODULE.format(
        about=about(network, USAGE),
        gru=GRU if network.resets_before else "",
        layers=_indented(_layers(network)),
        forward=_indented(_forward(network)),
        double=double if network.precision == "float64" else "",
    )


def _layers(network: Network) -> list[str]:
    model = network.model
    sizes = f"{model.features}, {model.units}"
    extra = f", num_layers={model.layers}" if model.layers > 1 else ""
    extra += ', nonlinearity="relu"' if model.activation == "relu" else ""
    name = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU"}[model.cell]
    lines = [f"self.rnn = nn.{name}({sizes}{extra}, batch_first=True)"]
    if network.resets_before:
        deeper = [f"({model.units}, {model.units})"] * (model.layers - 1)
        gru = [f"ResetBeforeGRU{arguments}" for arguments in [f"({sizes})", *deeper]]
        lines = [f"self.rnn = nn.Sequential({', '.join(gru)})"]
    if model.head == "dense":
        lines.append(f"self.head = nn.Linear({model.units}, {model.outputs})")
    if network.standardised:
        for name in ("x_mean", "x_std"):
            zeros = f"torch.zeros({model.features}, dtype=torch.float64)"
            lines.append(f'self.register_buffer("{name}", {zeros})')
    if network.rescaled:
        for name in ("y_mean", "y_std"):
            zeros = "torch.zeros((), dtype=torch.float64)"
            lines.append(f'self.register_buffer("{name}", {zeros})')
    return lines


def _forward(network: Network) -> list[str]:
    model = network.model
    lines = []
    if network.standardised:
        cast = ".float()" if network.precision == "float32" else ""
        lines.append(f"x = ((x - self.x_mean) / self.x_std){cast}")
    lines.append("h = self.rnn(x)" if network.resets_before else "h, _ = self.rnn(x)")
    states = "h" if model.every_step else "h[:, -1]"
    lines.append(f"y = self.head({states})" if model.head == "dense" else f"y = {states}")
    if gives_logits(network.loss):
        lines.append("y = torch.sigmoid(y)")
    if network.standardised:
        lines.append("y = y.double()")
    if network.rescaled:
        lines[-1] += " * self.y_std + self.y_mean"
    return [*lines[:-1], lines[-1].replace("y =", "return", 1)]


def _indented(lines: list[str]) -> str:
    return "\n".join(f"        {line}" for line in lines)
