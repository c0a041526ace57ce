"""JAX: a jitted forward pass with `lax.scan` in `model.py`, the weights in `model.npz`.

The weights have the names of the NumPy format. NumPy does the scaling, in float64, which JAX has
only if it is enabled for the whole process.
"""

from pathlib import Path

from harness.formats import to_numpy
from harness.formats.trained_network import Network, about

USAGE = to_numpy.USAGE

SIMPLE = '''

def layer(x, W, U, b):
    """x (N, T, ·) -> hidden states (N, T, units)."""

    def step(h, a):
        h = {activation}
        return h, h

    zeros = jnp.zeros((len(x), len(U)), x.dtype)
    _, states = lax.scan(step, zeros, jnp.moveaxis(x @ W + b, 1, 0))
    return jnp.moveaxis(states, 0, 1)
'''

LSTM = '''

def layer(x, W, U, b):
    """x (N, T, ·) -> hidden states (N, T, units); gates in the order i, f, g, o."""

    def step(state, a):
        h, c = state
        i, f, g, o = jnp.split(a + h @ U, 4, axis=-1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        h = nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((len(x), len(U)), x.dtype)
    _, states = lax.scan(step, (zeros, zeros), jnp.moveaxis(x @ W + b, 1, 0))
    return jnp.moveaxis(states, 0, 1)
'''

GRU_AFTER = '''

def layer(x, W, U, b, recurrent_b):
    """x (N, T, ·) -> hidden states (N, T, units); gates in the order z, r, h."""

    def step(h, p):
        p_z, p_r, p_h = jnp.split(p, 3, axis=-1)
        q_z, q_r, q_h = jnp.split(h @ U + recurrent_b, 3, axis=-1)
        z, r = nn.sigmoid(p_z + q_z), nn.sigmoid(p_r + q_r)
        h = z * h + (1 - z) * jnp.tanh(p_h + r * q_h)
        return h, h

    zeros = jnp.zeros((len(x), len(U)), x.dtype)
    _, states = lax.scan(step, zeros, jnp.moveaxis(x @ W + b, 1, 0))
    return jnp.moveaxis(states, 0, 1)
'''

GRU_BEFORE = '''

def layer(x, W, U, b):
    """x (N, T, ·) -> hidden states (N, T, units); gates in the order z, r, h. The reset gate acts
    on the state, before the recurrent product, as in Cho et al. 2014."""
    U_z, U_r, U_h = jnp.split(U, 3, axis=-1)

    def step(h, a):
        a_z, a_r, a_h = jnp.split(a, 3, axis=-1)
        z, r = nn.sigmoid(a_z + h @ U_z), nn.sigmoid(a_r + h @ U_r)
        h = z * h + (1 - z) * jnp.tanh(a_h + (r * h) @ U_h)
        return h, h

    zeros = jnp.zeros((len(x), len(U)), x.dtype)
    _, states = lax.scan(step, zeros, jnp.moveaxis(x @ W + b, 1, 0))
    return jnp.moveaxis(states, 0, 1)
'''

MODULE = '''\
"""{about}"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
{enable_x64}

def load(path=Path(__file__).with_name("model.npz")):
    """The weights: name -> array."""
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def predict(w, x):
    """Outputs for the inputs x with the weights w; shapes and units are above."""
{predict}


@jax.jit
def forward(w, x):
{forward}
{layer}'''

ENABLE_X64 = '\njax.config.update("jax_enable_x64", True)  # it was trained in float64\n'


def write(network: Network, folder: Path) -> None:
    """Write `model.py` and `model.npz` into `folder`."""
    to_numpy.save(network, folder)
    (folder / "model.py").write_text(source(network), encoding="utf-8")


def source(network: Network) -> str:
    """Return the text of `model.py`."""
    model = network.model
    cell = {"rnn": SIMPLE, "lstm": LSTM, "gru": GRU_BEFORE if network.resets_before else GRU_AFTER}
    activation = "jnp.tanh(a + h @ U)" if model.activation == "tanh" else "nn.relu(a + h @ U)"
    return MODULE.format(
        about=about(network, USAGE),
        enable_x64=ENABLE_X64 if network.precision == "float64" else "",
        predict=to_numpy.indented(to_numpy.predict_lines(network, "np.asarray(forward(w, x))")),
        forward=to_numpy.indented(to_numpy.forward_lines(network, "nn.sigmoid")),
        layer=cell[model.cell].replace("{activation}", activation),
    )
