"""Every backend against the NumPy reference, stage by stage, and against plain framework code.

The cases are no full product: each value of each option is in at least one of them, and each cell
in several. The plain loops use none of the project's classes, only its initial weights, data and
batches: they show that the harness trains what a user of the framework would have trained.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from backends import Array, Backend
from backends.numpy_backend import NumpyBackend
from harness.core.model import Params
from harness.parity.control_band import control_band
from harness.parity.problem import Problem
from harness.parity.stages import STAGES
from tests.support.agreement import check_agreement, check_band, check_losses
from tests.support.problems import Case

CASES = [
    Case("rnn-sgd"),
    Case(
        "rnn-2-layers-no-head-every-step-momentum-cosine",
        layers=2,
        returns="every_step",
        head="none",
        momentum=0.9,
        lr=0.01,
        cosine=True,
    ),
    Case("rnn-relu-3-layers-adam", activation="relu", layers=3, optimizer="adam", lr=0.001),
    Case(
        "rnn-relu-every-step-nesterov-3-replicas",
        activation="relu",
        returns="every_step",
        momentum=0.9,
        nesterov=True,
        lr=0.01,
        replicas=3,
    ),
    Case("lstm-adam-3-replicas", cell="lstm", optimizer="adam", lr=0.002, replicas=3),
    Case(
        "lstm-2-layers-bce-rmsprop",
        cell="lstm",
        layers=2,
        loss="bce",
        optimizer="rmsprop",
        lr=0.001,
    ),
    Case("lstm-3-layers-every-step-clip", "lstm", layers=3, returns="every_step", clip=0.05),
    Case(
        "lstm-no-head-adam-decay-cosine",
        cell="lstm",
        head="none",
        optimizer="adam",
        lr=0.01,
        weight_decay=0.1,
        cosine=True,
    ),
    Case("lstm-1-time-step", cell="lstm", time_steps=1),
    Case("gru-1-time-step", cell="gru", time_steps=1),
    Case("rnn-1-time-step", time_steps=1),
    Case(
        "lstm-33-time-steps-adam",
        cell="lstm",
        optimizer="adam",
        lr=0.002,
        time_steps=33,  # the Keras backend unrolls 32
    ),
    Case(
        "gru-every-step-rmsprop-3-replicas",
        cell="gru",
        returns="every_step",
        optimizer="rmsprop",
        lr=0.001,
        time_steps=4,  # the dearest case to compile in Keras
        replicas=3,
    ),
    Case(
        "gru-2-layers-every-step-bce-adam-clip",
        cell="gru",
        layers=2,
        returns="every_step",
        loss="bce",
        optimizer="adam",
        lr=0.002,
        clip=0.1,
    ),
    Case("gru-3-layers-no-head-momentum", "gru", layers=3, head="none", momentum=0.9, lr=0.01),
    Case(
        "gru-nesterov-decay-clip-cosine",
        cell="gru",
        momentum=0.9,
        nesterov=True,
        lr=0.02,
        weight_decay=0.01,
        clip=0.5,
        cosine=True,
    ),
]
# What the presets and single rules add: each value of each rule is in at least one.
RULES_CASES = [
    Case(
        "rnn-torch-2-layers-adam-decay-clip",
        layers=2,
        optimizer="adam",
        lr=0.005,
        weight_decay=0.1,
        clip=0.05,
        replicas=2,
        semantics="torch",
    ),
    Case(
        "lstm-torch-nesterov-decay-cosine",
        "lstm",
        momentum=0.9,
        nesterov=True,
        lr=0.01,
        weight_decay=0.01,
        cosine=True,
        semantics="torch",
    ),
    Case(
        "gru-torch-rmsprop-decay-every-step",
        "gru",
        returns="every_step",
        optimizer="rmsprop",
        lr=0.001,
        weight_decay=0.1,
        semantics="torch",
    ),
    Case(
        "lstm-keras-adam-decay-clip-cosine",
        "lstm",
        optimizer="adam",
        lr=0.005,
        weight_decay=0.1,
        clip=0.01,
        cosine=True,
        semantics="keras",
    ),
    Case(
        "rnn-keras-nesterov-cosine-2-replicas",
        momentum=0.9,
        nesterov=True,
        lr=0.01,
        cosine=True,
        replicas=2,
        semantics="keras",
    ),
    Case("rnn-keras-momentum-cosine", momentum=0.9, lr=0.01, cosine=True, semantics="keras"),
    Case(
        "gru-keras-2-layers-rmsprop-clip",
        "gru",
        layers=2,
        optimizer="rmsprop",
        lr=0.001,
        clip=0.05,
        semantics="keras",
    ),
    Case(
        "gru-jax-2-layers-adam-clip-2-replicas",
        "gru",
        layers=2,
        optimizer="adam",
        lr=0.001,
        clip=0.05,
        replicas=2,
        semantics="jax",
    ),
    Case("rnn-jax-rmsprop-decay", optimizer="rmsprop", lr=0.001, weight_decay=0.1, semantics="jax"),
    Case("lstm-clip-value", "lstm", clip=0.003, rules=(("clip_scope", "value"),)),
    Case("gru-single-bias", "gru", layers=2, rules=(("gru_biases", "single"),)),
    *(
        Case(
            f"gru-before-{biases}-{returns}",
            "gru",
            layers=2,
            returns=returns,
            optimizer="adam",
            lr=0.002,
            masked=returns == "last",
            rules=(("gru_reset", "before"), ("gru_biases", biases)),
        )
        for biases, returns in [("single", "last"), ("candidate", "every_step"), ("double", "last")]
    ),
    Case("rnn-bce-clipped", loss="bce", lr=0.005, saturated=True, rules=(("bce", "clipped"),)),
    Case(
        "lstm-bce-log-clamped-every-step-masked",
        "lstm",
        returns="every_step",
        loss="bce",
        saturated=True,
        masked=True,
        rules=(("bce", "log_clamped"),),
    ),
    Case("rnn-bce-saturated", loss="bce", lr=0.005, saturated=True),
    Case("rnn-masked-no-head-every-step", head="none", returns="every_step", masked=True),
    Case(
        "lstm-masked-3-layers-3-replicas",
        "lstm",
        layers=3,
        optimizer="adam",
        lr=0.002,
        masked=True,
        replicas=3,
    ),
    Case("gru-masked-2-layers-every-step", "gru", layers=2, returns="every_step", masked=True),
    Case("lstm-masked-33-time-steps", "lstm", time_steps=33, masked=True),
]
# float32 has the same code behind it: these hold every cell and every optimiser.
FLOAT32_CASES = [
    Case("rnn-relu-2-layers-sgd", activation="relu", layers=2, weight_decay=0.1, clip=0.5),
    Case("rnn-every-step-nesterov", returns="every_step", momentum=0.9, nesterov=True, lr=0.01),
    Case("lstm-bce-adam", "lstm", loss="bce", optimizer="adam", lr=0.01, replicas=3),
    Case("gru-no-head-rmsprop", "gru", head="none", optimizer="rmsprop", lr=0.001),
    Case("lstm-keras-adam", "lstm", optimizer="adam", lr=0.01, semantics="keras", masked=True),
    Case("rnn-bce-clipped", loss="bce", lr=0.005, saturated=True, rules=(("bce", "clipped"),)),
]
# An epoch whose last batch is shorter takes every framework some programs more to compile.
SHORT_LAST_BATCH = {
    *("rnn-sgd", "rnn-relu-every-step-nesterov-3-replicas", "rnn-torch-2-layers-adam-decay-clip"),
    *("lstm-adam-3-replicas", "lstm-keras-adam-decay-clip-cosine"),
    *("gru-nesterov-decay-clip-cosine", "gru-masked-2-layers-every-step", "rnn-bce-clipped"),
}
# Learning so fast that correct float32 programs soon part by more than the limit of a short run.
BAND_CASES = [
    Case("rnn-sgd-fast", lr=0.3),
    Case("lstm-adam-fast", "lstm", optimizer="adam", lr=0.03),
]
CELLS = ["rnn", "lstm", "gru"]


def name(case: Case) -> str:
    return case.name


def quick(cases: list[Case]) -> list[Case]:
    return [replace(case, short_batch=case.name in SHORT_LAST_BATCH) for case in cases]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("case", quick([*CASES, *RULES_CASES]), ids=name)
def test_float64(framework_backend: type[Backend], case: Case, stage: str) -> None:
    check_agreement(framework_backend, case, "float64", stage)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("case", quick(FLOAT32_CASES), ids=name)
def test_float32(framework_backend: type[Backend], case: Case, stage: str) -> None:
    check_agreement(framework_backend, case, "float32", stage)


@pytest.mark.parametrize("case", BAND_CASES, ids=name)
def test_long_float32_run_stays_in_the_control_band(
    framework_backend: type[Backend], case: Case
) -> None:
    problem = case.problem("float32")
    expected, actual = (
        problem.train(problem.build(c), 0, 500) for c in (NumpyBackend, framework_backend)
    )
    check_band(expected, actual, "float32", band(case))


@cache
def band(case: Case) -> Array:
    return control_band(case.problem("float32"))


@pytest.mark.parametrize("cell", CELLS)
def test_plain_torch_loop_trains_the_same(cell: str) -> None:
    problem = Case(f"plain-{cell}", cell, optimizer="adam", lr=2.0**-8).problem("float64")
    expected = problem.train(problem.build(NumpyBackend), 0, 500)
    check_losses(expected, plain_torch(problem, only(problem.state.params)), "float64")


@pytest.mark.parametrize("cell", CELLS)
def test_plain_keras_loop_trains_the_same(cell: str) -> None:
    problem = Case(f"plain-{cell}", cell, lr=2.0**-4).problem("float64")
    expected = problem.train(problem.build(NumpyBackend), 0, 500)
    check_losses(expected, plain_keras(problem, only(problem.state.params)), "float64")


def only(params: Params) -> Params:
    """The weights of the one replica, without the replica axis."""
    return {name: value[0] for name, value in params.items()}


def plain_torch(problem: Problem, weights: Params) -> Array:
    """A training loop as a PyTorch user writes it, but for the second bias, which stays zero."""
    import torch
    from torch import nn

    cell, units, outputs = problem.model.cell, problem.model.units, problem.model.outputs
    x, y = torch.tensor(problem.data.x[0]), torch.tensor(problem.data.y[0])
    rnn = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell](
        problem.model.features, units, batch_first=True, dtype=torch.float64
    )
    head = nn.Linear(units, outputs, dtype=torch.float64)
    kernel, recurrent, bias = (
        weights[f"rnn.0.{n}"] for n in ("kernel", "recurrent_kernel", "bias")
    )
    if cell == "gru":  # z, r, h -> r, z, n
        order = np.r_[units : 2 * units, :units, 2 * units : 3 * units]
        kernel, recurrent, bias = kernel[:, order], recurrent[:, order], bias[:, order]
    else:
        bias = np.stack([bias, np.zeros_like(bias)])
        rnn.bias_hh_l0.requires_grad_(False)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(torch.tensor(kernel.T))
        rnn.weight_hh_l0.copy_(torch.tensor(recurrent.T))
        rnn.bias_ih_l0.copy_(torch.tensor(bias[0]))
        rnn.bias_hh_l0.copy_(torch.tensor(bias[1]))
        head.weight.copy_(torch.tensor(weights["head.kernel"].T))
        head.bias.copy_(torch.tensor(weights["head.bias"]))
    trained = [p for p in [*rnn.parameters(), *head.parameters()] if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=float(problem.lr[0, 0]), eps=1e-8)
    losses = []
    for rows in problem.batches:
        h, _ = rnn(x[rows[0]])
        loss = nn.functional.mse_loss(head(h[:, -1]), y[rows[0]])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append([loss.item()])
    return np.array(losses)


def plain_keras(problem: Problem, weights: Params) -> Array:
    """A training loop as a Keras user writes it. Keras keeps lr in float32: a power of two."""
    import keras
    import tensorflow as tf

    cell = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    model: Any = keras.Sequential(
        [
            keras.Input(problem.data.x.shape[2:], dtype="float64"),
            cell[problem.model.cell](problem.model.units, dtype="float64"),
            keras.layers.Dense(problem.model.outputs, dtype="float64"),
        ]
    )
    model.set_weights(list(weights.values()))
    optimizer = keras.optimizers.SGD(float(problem.lr[0, 0]))
    mse: Any = keras.losses.MeanSquaredError(dtype="float64")

    @tf.function(reduce_retracing=True)
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = mse(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    x, y = problem.data.x[0], problem.data.y[0]
    return np.array([[float(step(x[rows[0]], y[rows[0]]))] for rows in problem.batches])
