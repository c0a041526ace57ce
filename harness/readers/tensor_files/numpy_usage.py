"""Code that uses arrays of this project with NumPy alone: the program of an export."""

from harness.formats.to_numpy import forward_lines, functions, indented, predict_lines
from harness.formats.trained_network import Network
from harness.readers.tensor_files.choose_layers import Chosen
from harness.readers.tensor_files.tensor_file import TensorFile

LOAD = {
    "safetensors": """\
from safetensors.numpy import load_file

arrays = load_file({path!r})""",
    "npz": """
with np.load({path!r}, allow_pickle=False) as file:
    arrays = dict(file)""",
}

USAGE = """\
import numpy as np
{load}
w = {{
{weights}
}}


def predict(w, x):
{predict}


def forward(w, x):
{forward}
{functions}

y = predict(w, x)
"""

# How to_numpy.py names a layer's arrays -> code for it, by the biases of a run's weights.
BIASES = {
    "single": {"b": "{bias}", "recurrent_b": "0 * {bias}"},
    "candidate": {"b": "{bias}", "recurrent_b": "np.pad({recurrent_bias}, (2 * {units}, 0))"},
    "double": {"b": "{bias}", "recurrent_b": "{recurrent_bias}"},
    "two rows": {"b": "{bias}[0]", "recurrent_b": "{bias}[1]"},
}


def usage(file: TensorFile, chosen: Chosen, network: Network, replica: int | None) -> str:
    """Return code that computes `y` from `x`; `replica` is None where arrays have no such axis."""
    if "rnn.0.W" in file.types:
        weights = {name: f"arrays[{name!r}]" for name in file.types}
    else:
        weights = _of_run(chosen, network, "" if replica is None else f"[{replica}]")
    return USAGE.format(
        load=LOAD[file.format].format(path=str(file.path.resolve())),
        weights="\n".join(f"    {name!r}: {code}," for name, code in weights.items()),
        predict=indented(predict_lines(network, "forward(w, x)")),
        forward=indented(forward_lines(network, "sigmoid")),
        functions=functions(network),
    )


def _of_run(chosen: Chosen, network: Network, replica: str) -> dict[str, str]:
    two_biases = network.model.cell == "gru" and not network.resets_before
    weights: dict[str, str] = {}
    for n, layer in enumerate(chosen.layers):
        code = [f"arrays[{name!r}]{replica}" for name in layer.arrays]
        form = "two rows" if layer.cell == "gru" and layer.biases == "double" else layer.biases
        names = {"bias": code[2], "recurrent_bias": code[-1], "units": layer.units}
        b, recurrent_b = (BIASES[form][name].format(**names) for name in ("b", "recurrent_b"))
        weights |= {f"rnn.{n}.W": code[0], f"rnn.{n}.U": code[1]}
        if two_biases:
            weights |= {f"rnn.{n}.b": b, f"rnn.{n}.recurrent_b": recurrent_b}
        else:
            weights[f"rnn.{n}.b"] = f"{b} + {recurrent_b}"
    if chosen.head is not None:
        names = {"head.W": "head.kernel", "head.b": "head.bias"}
        weights |= {name: f"arrays[{stored!r}]{replica}" for name, stored in names.items()}
    return weights
