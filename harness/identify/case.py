"""A recorded training as the NumPy backend takes it, and the forms of it that rules decide.

The number of biases, the form of the targets and the activation are made for each candidate.
"""

from dataclasses import dataclass, replace

import numpy as np

from harness.core.arrays import Array
from harness.core.layer_weights import acting_weights
from harness.core.model import ModelSpec, Params


@dataclass(frozen=True, kw_only=True)
class Case:
    """A recorded training of S steps."""

    model: ModelSpec  # as the weights say; candidates change what they do not say
    params: Params  # (…) by canonical name, without a replica axis
    precision: str
    x: Array  # (N, T, F)
    targets: dict[str, Array]  # by the form of `returns`: (N, O) or (N, T, O)
    batches: list[Array]  # (B,) of each step
    lr: Array  # (S,)
    losses: Array  # (S,)
    errors: Array  # (S,) how far `losses` may be off
    rounded: bool  # by Keras in float64: see keras_rounding.py

    def model_of(self, activation: str, returns: str, biases: str, reset: str) -> ModelSpec:
        """Return the network with what the weights do not say."""
        return replace(
            self.model, activation=activation, returns=returns, biases=biases, reset=reset
        )

    def shortened(self, steps: int) -> "Case":
        """Return the training of the first `steps` steps, with their samples alone."""
        rows = self.batches[:steps]
        used, numbers = np.unique(np.concatenate(rows), return_inverse=True)
        return replace(
            self,
            x=self.x[used],
            targets={name: y[used] for name, y in self.targets.items()},
            batches=np.split(numbers, np.cumsum([len(row) for row in rows])[:-1]),
            lr=self.lr[:steps],
            losses=self.losses[:steps],
            errors=self.errors[:steps],
        )

    def params_of(self, model: ModelSpec) -> Params | None:
        """Return the weights with the biases of `model`; None where it cannot have the same."""
        params = dict(self.params)
        if model.biases == self.model.biases:
            return params
        for layer, (_, _, b) in enumerate(acting_weights(self.model, params)):
            biases = _biases(model, b)
            if biases is None:
                return None
            params.pop(f"rnn.{layer}.recurrent_bias", None)
            params |= {f"rnn.{layer}.{name}": value for name, value in biases.items()}
        return params


def _biases(model: ModelSpec, b: Array) -> Params | None:
    """Return a layer's trained biases from the acting ones `(2, GU)`."""
    if model.cell != "gru":
        if model.biases == "single":
            return {"bias": b.sum(axis=0)}
        return {"bias": b[0], "recurrent_bias": b[1]}
    if model.biases == "double":
        return {"bias": b}
    gates = 2 * model.units  # z and r, whose two biases are added
    joined, candidate = b.sum(axis=0), b[1, gates:]
    joined[gates:] = b[0, gates:]
    if model.biases == "candidate":
        return {"bias": joined, "recurrent_bias": candidate}
    return None if candidate.any() else {"bias": joined}
