"""A network in NumPy: weights in `model.npz`, no pickle; a readable forward pass in `model.py`."""

from pathlib import Path
from typing import Any

import numpy as np

from harness.core.arrays import Array
from harness.core.losses import gives_logits
from harness.formats.trained_network import Network, about

USAGE = """\
from model import load, predict

y = predict(load(), x)
"""

SIGMOID = """

def sigmoid(a):
    return 0.5 * np.tanh(0.5 * a) + 0.5
"""

SIMPLE = '''

def layer(x, W, U, b):
    """x (N, T, ·) -> hidden states (N, T, units)."""
    h = np.zeros((len(x), len(U)), x.dtype)
    states = []
    for a in np.moveaxis(x @ W + b, 1, 0):
        h = {activation}
        states.append(h)
    return np.stack(states, axis=1)
'''

LSTM = '''

def layer(x, W, U, b):
    """x (N, T, ·) -> hidden states (N, T, units); gates in the order i, f, g, o."""
    h = c = np.zeros((len(x), len(U)), x.dtype)
    states = []
    for a in np.moveaxis(x @ W + b, 1, 0):
        i, f, g, o = np.split(a + h @ U, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states, axis=1)
'''

GRU_AFTER = '''

def layer(x, W, U, b, recurrent_b):
    """x (N, T, ·) -> hidden states (N, T, units); gates in the order z, r, h."""
    h = np.zeros((len(x), len(U)), x.dtype)
    states = []
    for p in np.moveaxis(x @ W + b, 1, 0):
        p_z, p_r, p_h = np.split(p, 3, axis=-1)
        q_z, q_r, q_h = np.split(h @ U + recurrent_b, 3, axis=-1)
        z, r = sigmoid(p_z + q_z), sigmoid(p_r + q_r)
        h = z * h + (1 - z) * np.tanh(p_h + r * q_h)
        states.append(h)
    return np.stack(states, axis=1)
'''

GRU_BEFORE = '''

def layer(x, W, U, b):
    """x (N, T, ·) -> hidden states (N, T, units); gates in the order z, r, h. The reset gate acts
    on the state, before the recurrent product, as in Cho et al. 2014."""
    U_z, U_r, U_h = np.split(U, 3, axis=-1)
    h = np.zeros((len(x), len(U)), x.dtype)
    states = []
    for a in np.moveaxis(x @ W + b, 1, 0):
        a_z, a_r, a_h = np.split(a, 3, axis=-1)
        z, r = sigmoid(a_z + h @ U_z), sigmoid(a_r + h @ U_r)
        h = z * h + (1 - z) * np.tanh(a_h + (r * h) @ U_h)
        states.append(h)
    return np.stack(states, axis=1)
'''

MODULE = '''\
"""{about}"""

from pathlib import Path

import numpy as np


def load(path=Path(__file__).with_name("model.npz")):
    """The weights: name -> array."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def predict(w, x):
    """Outputs for the inputs x with the weights w; shapes and units are above."""
{predict}


def forward(w, x):
{forward}
{functions}'''


def write(network: Network, folder: Path) -> None:
    """Write `model.py` and `model.npz` into `folder`."""
    save(network, folder)
    (folder / "model.py").write_text(source(network), encoding="utf-8")


def save(network: Network, folder: Path) -> None:
    """Write `model.npz` into `folder`."""
    arrays: Any = named_arrays(network)
    np.savez(folder / "model.npz", allow_pickle=False, **arrays)


def named_arrays(network: Network) -> dict[str, Array]:
    """Return all arrays: `rnn.0.W`, `rnn.0.U`, `rnn.0.b`, …, `head.W`, `head.b`, and the scales."""
    arrays: dict[str, Array] = {}
    two_rows = network.model.cell == "gru" and not network.resets_before
    for n, (W, U, b) in enumerate(network.layers):
        arrays |= {f"rnn.{n}.W": W, f"rnn.{n}.U": U}
        if two_rows:
            arrays |= {f"rnn.{n}.b": b[0], f"rnn.{n}.recurrent_b": b[1]}
        else:
            arrays[f"rnn.{n}.b"] = b.sum(axis=0)
    if network.model.head == "dense":
        arrays["head.W"] = network.weights["head.kernel"]
        arrays["head.b"] = network.weights["head.bias"]
    if network.standardised:
        arrays |= {"x_mean": network.x_mean, "x_std": network.x_std}
    if network.rescaled:
        arrays |= {"y_mean": np.array(network.y_mean), "y_std": np.array(network.y_std)}
    return arrays


def source(network: Network, usage: str = USAGE) -> str:
    """Return the text of `model.py`, whose docstring shows its use."""
    return MODULE.format(
        about=about(network, usage),
        predict=indented(predict_lines(network, "forward(w, x)")),
        forward=indented(forward_lines(network, "sigmoid")),
        functions=functions(network),
    )


def functions(network: Network) -> str:
    """Return the code of a layer, and of the sigmoid where it is needed."""
    model = network.model
    cell = {"rnn": SIMPLE, "lstm": LSTM, "gru": GRU_BEFORE if network.resets_before else GRU_AFTER}
    activation = "np.tanh(a + h @ U)" if model.activation == "tanh" else "np.maximum(a + h @ U, 0)"
    code = cell[model.cell].replace("{activation}", activation)
    return code + (SIGMOID if "sigmoid(" in code or gives_logits(network.loss) else "")


def predict_lines(network: Network, result: str) -> list[str]:
    """Return the body of `predict`: scaling around the network's `result`, a NumPy array."""
    lines = [f'x = np.asarray(x, "{network.outer_precision}")']
    if network.standardised:
        cast = "" if network.precision == "float64" else f'.astype("{network.precision}")'
        lines.append(f'x = ((x - w["x_mean"]) / w["x_std"]){cast}')
    result += '.astype("float64")' if network.standardised else ""
    result += ' * w["y_std"] + w["y_mean"]' if network.rescaled else ""
    return [*lines, f"return {result}"]


def forward_lines(network: Network, sigmoid: str) -> list[str]:
    """Return the body of `forward`: layers and head."""
    model, arrays, lines = network.model, named_arrays(network), []
    source = "x"
    for n in range(model.layers):
        names = [f"rnn.{n}.{kind}" for kind in ("W", "U", "b", "recurrent_b")]
        weights = ", ".join(f'w["{name}"]' for name in names if name in arrays)
        lines.append(f"h = layer({source}, {weights})")
        source = "h"
    result = "h" if model.every_step else "h[:, -1]"
    result += ' @ w["head.W"] + w["head.b"]' if model.head == "dense" else ""
    return [
        *lines,
        f"return {sigmoid}({result})" if gives_logits(network.loss) else f"return {result}",
    ]


def indented(lines: list[str]) -> str:
    """Join lines, each indented by four spaces."""
    return "\n".join(f"    {line}" for line in lines)
