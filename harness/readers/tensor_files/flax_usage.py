"""Code that uses flax' parameters by flax' own modules."""

from harness.core.losses import gives_logits
from harness.formats.trained_network import Network
from harness.readers.tensor_files.choose_layers import Chosen
from harness.readers.tensor_files.flax_layers import separator
from harness.readers.tensor_files.recurrent_stacks import ROOT, Dense, Layer
from harness.readers.tensor_files.tensor_file import TensorFile

LOAD = {
    "safetensors": """\
from safetensors.flax import load_file

state = load_file({path!r})""",
    "npz": """
with np.load({path!r}, allow_pickle=False) as file:
    state = dict(file)""",
    "msgpack": """\
from flax.serialization import msgpack_restore
from flax.traverse_util import flatten_dict

with open({path!r}, "rb") as file:
    tree = msgpack_restore(file.read())
state = {{"/".join(map(str, path)): value for path, value in flatten_dict(tree).items()}}""",
}

USAGE = """\
import jax
{x64}import numpy as np
from flax import {module}
from flax.traverse_util import unflatten_dict
{load}


def part(prefix):
    found = {{n.removeprefix(prefix): v for n, v in state.items() if n.startswith(prefix)}}
    return jax.tree.map(lambda v: v.astype({precision!r}), unflatten_dict(found, sep={between!r}))

{nnx}
h = jax.numpy.asarray(x, {precision!r})
{forward}
y = np.asarray(h)
"""

NNX = """
def loaded(module, prefix):
    nnx.update(module, part(prefix))
    return module

"""


def usage(file: TensorFile, chosen: Chosen, network: Network) -> str:
    """Return code that computes `y` from `x`."""
    from_nnx = any(_from_nnx(file, layer) for layer in chosen.layers)
    write_layer, write_head = (_nnx_layer, _nnx_head) if from_nnx else (_linen_layer, _linen_head)
    between = separator(file)
    forward = [write_layer(layer, network, between) for layer in chosen.layers]
    if not network.model.every_step:
        forward.append("h = h[:, -1]")
    if chosen.head is not None:
        forward.append(write_head(chosen.head, network, between))
    if gives_logits(network.loss):
        forward.append("h = jax.nn.sigmoid(h)")
    x64 = 'jax.config.update("jax_enable_x64", True)\n' if network.precision == "float64" else ""
    return USAGE.format(
        module="nnx" if from_nnx else "linen",
        load=LOAD[file.format].format(path=str(file.path.resolve())),
        x64=x64,
        precision=network.precision,
        between=between,
        nnx=NNX if from_nnx else "",
        forward="\n".join(forward),
    )


def _from_nnx(file: TensorFile, layer: Layer) -> bool:
    names = [name.split(separator(file))[-2] for name in layer.arrays]
    return "if_" in names or "dense_i" in names


def _linen_layer(layer: Layer, network: Network, between: str) -> str:
    name = {"rnn": "SimpleCell", "lstm": "LSTMCell", "gru": "GRUCell"}[layer.cell]
    relu = ", activation_fn=jax.nn.relu" if network.model.activation == "relu" else ""
    cell = f"linen.{name}({layer.units}, param_dtype={network.precision!r}{relu})"
    params = f'{{"params": {{"cell": part({_prefix(layer.name, between)!r})}}}}'
    return f"h = linen.RNN({cell}).apply({params}, h)"


def _linen_head(head: Dense, network: Network, between: str) -> str:
    bias = "" if head.bias else ", use_bias=False"
    dense = f"linen.Dense({head.outputs}, param_dtype={network.precision!r}{bias})"
    return f'h = {dense}.apply({{"params": part({_prefix(head.name, between)!r})}}, h)'


def _nnx_layer(layer: Layer, network: Network, between: str) -> str:
    names = {"rnn": "SimpleCell", "lstm": "LSTMCell", "gru": "GRUCell"}
    if layer.cell == "lstm" and len(layer.arrays) == 3:
        names["lstm"] = "OptimizedLSTMCell"
    relu = ", activation_fn=jax.nn.relu" if network.model.activation == "relu" else ""
    cell = f"nnx.{names[layer.cell]}({layer.features}, {layer.units}, {_types(network)}{relu})"
    return f"h = nnx.RNN(loaded({cell}, {_prefix(layer.name, between)!r}))(h)"


def _nnx_head(head: Dense, network: Network, between: str) -> str:
    bias = "" if head.bias else ", use_bias=False"
    dense = f"nnx.Linear({head.features}, {head.outputs}, {_types(network)}{bias})"
    return f"h = loaded({dense}, {_prefix(head.name, between)!r})(h)"


def _types(network: Network) -> str:
    kind = f"jax.numpy.{network.precision}"
    return f"dtype={kind}, param_dtype={kind}, rngs=nnx.Rngs(0)"


def _prefix(name: str, between: str) -> str:
    return "" if name == ROOT else f"{name}{between}"
