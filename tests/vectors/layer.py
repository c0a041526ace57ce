"""One recurrent layer with given weights, through the contract of any backend."""

from typing import Any

import numpy as np

from backends import Array, Backend, Data, State, TrainingSpec
from harness.config.semantics_table import preset
from harness.core.model import ModelSpec

# Of what others publish in float32 with seven digits: outputs are at most 1 or a little above.
SEVEN_DIGITS = 5e-7
FOUR_DIGITS = 1e-4


def states(
    backend: type[Backend],
    cell: str,
    weights: tuple[Array, Array, Array],
    x: Array,
    mask: Array | None = None,
    activation: str = "tanh",
    reset: str = "after",
) -> Array:
    """The layer's state at every step, `(N, T, U)`, computed in float64.

    `weights` are W `(F, GU)`, U `(U, GU)` and b `(2, GU)`, gates in canonical order; x `(N, T, F)`,
    mask `(N, T)`.
    """
    W, U, b = (np.asarray(part, np.float64)[None] for part in weights)
    units = U.shape[1]
    model = ModelSpec(
        cell=cell,
        features=x.shape[-1],
        units=units,
        layers=1,
        activation=activation,
        returns="every_step",
        head="none",
        outputs=units,
        biases="double",
        reset=reset,
    )
    params = {"rnn.0.kernel": W, "rnn.0.recurrent_kernel": U, "rnn.0.bias": b}
    if cell != "gru":  # whose two biases are one array
        params |= {"rnn.0.bias": b[:, 0], "rnn.0.recurrent_bias": b[:, 1]}
    x = np.asarray(x, np.float64)[None]
    mask = None if mask is None else mask[None]
    data = Data(x, np.zeros((*x.shape[:3], units)), mask)
    built = backend(model, spec("sgd", momentum=0.0), data, State(params))
    return built.predict(x, mask)[0]


def spec(optimizer: str, nesterov: bool = False, **numbers: Any) -> TrainingSpec:
    """Training in float64 with PyTorch's rules; `numbers` are the optimiser's own."""
    arrays = {n: np.array([v]) for n, v in {"weight_decay": 0.0, **numbers}.items()}
    rules = preset("torch")
    return TrainingSpec(
        loss="mse",
        optimizer=optimizer,
        numbers=arrays,
        nesterov=nesterov,
        semantics=rules,
        precision="float64",
    )
