"""Compute the numbers of a case by the NumPy reference, in float64 and without a replica axis."""

from dataclasses import replace

import numpy as np

from backends import Data, State
from backends.numpy_backend import NumpyBackend
from harness.config.semantics_table import preset
from harness.core.arrays import Array
from harness.core.model import Params
from harness.training.checkpoints import fresh_state
from harness.training.gradient import gradients
from harness.vectors.cases import Case
from harness.vectors.optimizers import RULES, STEPS, Rule

MATCHED = preset("matched")


def arrays(case: Case) -> dict[str, Array]:
    """Return every array of the case by its name in the `.npz`, in the order of the description."""
    params, data = case.params(), case.data()
    rows = np.arange(data.x.shape[1])[None]
    training = RULES["sgd"].training(MATCHED)
    start = State(params)
    backend = NumpyBackend(case.model, training, data, start)
    named = {"x": data.x[0], "y": data.y[0]}
    if data.mask is not None:
        named |= {"mask": data.mask[0], "lengths": data.mask[0].sum(axis=1)}
    named |= under("params", params)
    named["outputs"] = backend.predict(data.x, data.mask)[0]
    named["loss"] = backend.train_epoch(rows[None], np.zeros((1, 1)))[0, 0]
    weight_gradients = gradients(NumpyBackend, case.model, training, data, start, rows)
    named |= under("gradients", weight_gradients)
    named["gradients/x"] = input_gradient(case, params, data)
    for name, rule in RULES.items():
        losses, after = trained(case, rule, params, data)
        named[f"optimizers/{name}/losses"] = losses
        named |= under(f"optimizers/{name}/params", after)
    return named


def under(folder: str, params: Params) -> dict[str, Array]:
    """Return the arrays of the only replica, with `folder/` before their names."""
    return {f"{folder}/{name}": value[0] for name, value in params.items()}


def input_gradient(case: Case, params: Params, data: Data) -> Array:
    """Return ∂L/∂x `(N, T, F)`, which no backend gives.

    Each step of each sample gets an additional feature, which is 1 there and 0 elsewhere, and whose
    weights are zero. So it changes no output, and the gradient of its row of the kernel is the
    error at the gates of that step, ∂L/∂a; ∂L/∂x is the product of this with Wᵀ.
    """
    _, N, T, F = data.x.shape
    indicators = np.eye(N * T).reshape(1, N, T, N * T)
    kernel = params["rnn.0.kernel"]  # (1, F, GU)
    rows_of_zeros = np.zeros((1, N * T, kernel.shape[2]))
    extended = params | {"rnn.0.kernel": np.concatenate([kernel, rows_of_zeros], axis=1)}
    weight_gradients = gradients(
        NumpyBackend,
        replace(case.model, features=F + N * T),
        RULES["sgd"].training(MATCHED),
        replace(data, x=np.concatenate([data.x, indicators], axis=3)),
        State(extended),
        np.arange(N)[None],
    )
    errors = weight_gradients["rnn.0.kernel"][0, F:]  # (N·T, GU)
    return (errors @ kernel[0].T).reshape(N, T, F)


def trained(case: Case, rule: Rule, params: Params, data: Data) -> tuple[Array, Params]:
    """Train `STEPS` steps, each on all samples.

    Returns the loss before each step, `(STEPS,)`, and the weights after the last, `(1, …)`.
    """
    training = rule.training(MATCHED)
    backend = NumpyBackend(case.model, training, data, fresh_state(params, training))
    batches = np.tile(np.arange(data.x.shape[1]), (STEPS, 1, 1))
    losses = backend.train_epoch(batches, np.full((STEPS, 1), rule.lr))
    return losses[:, 0], backend.state().params
