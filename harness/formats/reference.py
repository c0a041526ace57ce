"""The NumPy reference's outputs of a network, to which files of every format are compared."""

import numpy as np

from backends import Data, State, TrainingSpec
from backends.numpy_backend import NumpyBackend
from harness.config.semantics_table import preset
from harness.core.arrays import Array
from harness.core.losses import gives_logits
from harness.formats.trained_network import Network

SHAPES = ((5, 12), (2, 3))  # sequences and steps: a model must take any number of both


def random_inputs(
    network: Network, sizes: tuple[int | None, int | None] = (None, None)
) -> list[Array]:
    """Draw inputs `(N, T, F)` of the scale on which the network was trained, of several shapes.

    `sizes` are the N and T of a file that takes no others.
    """
    rng = np.random.default_rng(0)
    shapes = [(sizes[0] or N, sizes[1] or T) for N, T in SHAPES]
    drawn = [rng.normal(size=(*shape, network.model.features)) for shape in shapes]
    return [(network.x_mean + network.x_std * x).astype(network.outer_precision) for x in drawn]


def reference(network: Network, x: Array) -> Array:
    """Return the NumPy backend's outputs for `x` `(N, T, F)`, in original units and float64."""
    model, no_data = network.model, np.zeros((1, 1, 1, 1))
    rules = preset("matched")  # any preset would do: the rules matter in training only
    training = TrainingSpec(
        loss=network.loss,
        optimizer="sgd",
        numbers={},
        semantics=rules,
        precision=network.precision,
    )
    state = State({name: value[None] for name, value in network.weights.items()})
    backend = NumpyBackend(model, training, Data(no_data, no_data), state)
    scaled = ((x - network.x_mean) / network.x_std).astype(network.precision)
    y = backend.predict(scaled[None])[0].astype(np.float64)
    if gives_logits(network.loss):
        return 0.5 * np.tanh(0.5 * y) + 0.5
    return y * network.y_std + network.y_mean


def distance(network: Network, y: Array, expected: Array) -> float:
    """Return the largest difference of outputs from the reference's, of the same shape.

    It is a share of the largest output, measured from the targets' mean.
    """
    largest = np.abs(expected - network.y_mean).max() or 1.0
    return float(np.abs(y - expected).max() / largest)
