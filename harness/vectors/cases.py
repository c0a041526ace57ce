"""The cases: networks, the lengths of their sequences, and the random numbers of each.

All sizes differ from each other and from the numbers of gates, so that swapped axes change the
results. Weights and biases are random, so that swapped gates, a transposed kernel and a bias on the
wrong side do. Padding holds random numbers, so that code that reads it gets other results, too.
"""

from dataclasses import dataclass

import numpy as np

from backends import Data
from harness.core.arrays import Array
from harness.core.model import ModelSpec, Params, shapes
from harness.core.random_streams import stream

SAMPLES, FEATURES, UNITS = 5, 2, 6
LENGTHS = (7, 1, 4, 6, 3)  # of the ragged sequences

# Name -> cell, activation, place of the GRU's reset gate.
NETWORKS = {
    "rnn_tanh": ("rnn", "tanh", "after"),
    "rnn_relu": ("rnn", "relu", "after"),
    "lstm": ("lstm", "tanh", "after"),
    "gru_reset_after": ("gru", "tanh", "after"),
    "gru_reset_before": ("gru", "tanh", "before"),
}
BIASES = {"one_bias": "single", "two_biases": "double"}
# Name -> time steps, layers, and whether sequences have several lengths.
SEQUENCES = {
    "T1": (1, 1, False),
    "T7": (7, 1, False),
    "T33": (33, 1, False),
    "ragged": (7, 1, True),
    "stacked": (7, 2, False),
    "stacked_ragged": (7, 2, True),
}


@dataclass(frozen=True)
class Case:
    """One network on one kind of sequences."""

    network: str
    biases: str
    sequences: str

    @property
    def name(self) -> str:
        """The name of the case and of its files, without suffix."""
        return f"{self.network}-{self.biases}-{self.sequences}"

    @property
    def steps(self) -> int:
        """The number T of time steps."""
        return SEQUENCES[self.sequences][0]

    @property
    def ragged(self) -> bool:
        """Whether the sequences have several lengths."""
        return SEQUENCES[self.sequences][2]

    @property
    def model(self) -> ModelSpec:
        """The network: recurrent layers without a head, so the last layer's states are outputs."""
        cell, activation, reset = NETWORKS[self.network]
        return ModelSpec(
            cell=cell,
            features=FEATURES,
            units=UNITS,
            layers=SEQUENCES[self.sequences][1],
            activation=activation,
            returns="every_step",
            head="none",
            outputs=UNITS,
            biases=BIASES[self.biases],
            reset=reset,
        )

    def params(self) -> Params:
        """Draw weights `(1, …)`, always the same for a case."""
        rng = stream(0, "vectors", self.name, "params")
        named = shapes(self.model).items()
        scales = {name: 0.3 if "bias" in name else 0.4 for name, _ in named}
        return {name: scales[name] * rng.standard_normal((1, *shape)) for name, shape in named}

    def data(self) -> Data:
        """Draw inputs `(1, N, T, F)`, targets `(1, N, T, U)` and, if ragged, a mask `(1, N, T)`."""
        rng = stream(0, "vectors", self.name, "data")
        x = rng.standard_normal((1, SAMPLES, self.steps, FEATURES))
        y = 0.5 * rng.standard_normal((1, SAMPLES, self.steps, UNITS))
        return Data(x, y, self.mask()[None] if self.ragged else None)

    def mask(self) -> Array:
        """Return the mask `(N, T)`, True at real steps; padding is behind these."""
        lengths = np.array(LENGTHS) if self.ragged else np.full(SAMPLES, self.steps)
        return np.arange(self.steps) < lengths[:, None]


CASES = [Case(n, b, s) for n in NETWORKS for b in BIASES for s in SEQUENCES]
