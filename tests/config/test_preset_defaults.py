"""Defaults of Keras, PyTorch, flax and optax that a preset states and that can be looked up.

What a signature or a fresh layer tells is compared with `conf/semantics/`, so that a new version of
a framework which changes its mind is noticed. That the rules behind the numbers are stated rightly
is shown by training: `tests/backends/test_presets.py`.
"""

import inspect
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from backends.numpy_backend.optimizers import adam
from tests.support.problems import preset


def default(function: Any, *names: str) -> tuple:
    return tuple(inspect.signature(function).parameters[name].default for name in names)


def first_adam_step(framework: str) -> float:
    if framework == "keras":
        import keras

        θ = keras.Variable(0.0, dtype="float32")
        keras.optimizers.Adam(1.0).apply([keras.ops.ones(())], [θ])
        return float(θ.numpy())
    if framework == "torch":
        import torch

        θ = torch.zeros((), requires_grad=True)
        θ.grad = torch.ones(())
        torch.optim.Adam([θ], lr=1.0).step()
        return θ.item()
    import jax
    import jax.numpy as jnp
    import optax

    with jax.enable_x64(False):  # JAX' default; else a power of a Python float is float64
        rule = optax.adam(1.0)
        update: Any = rule.update(jnp.ones(()), rule.init(jnp.zeros(())))[0]
        return float(update)


@pytest.mark.parametrize("framework", ["keras", "torch", "jax"])
def test_precision_of_beta_powers(framework: str) -> None:
    """Adam's first step in float32, from θ = 0 with a gradient of 1 and lr = 1. 1 − 0.999 is off
    by 1.3e-5 if 0.999 is float32, and its root by 6.4e-6."""
    expected, rules, found = first_adam_step(framework), preset(framework), {}
    for powers in ("float64", "training"):
        θ, one = np.zeros(1, np.float32), np.ones(1, np.float32)
        slots = {"m": np.zeros(1, np.float32), "v": np.zeros(1, np.float32)}
        betas = {"beta1": np.array([0.9]), "beta2": np.array([0.999])}
        numbers = betas | {"lr": one, "t": np.array(1)}
        adam(θ, one, slots, numbers, replace(rules, beta_powers=powers))
        found[powers] = abs(float(θ[0]) / expected - 1)
    assert found.pop(rules.beta_powers) <= 4 * 2.0**-24
    assert min(found.values()) > 5e-6


def test_keras_defaults() -> None:
    from keras import initializers, layers, optimizers

    rules = preset("keras")
    adam, rmsprop = optimizers.Adam(), optimizers.RMSprop()
    assert (adam.epsilon, adam.beta_1, adam.beta_2) == (rules.adam_eps, 0.9, 0.999)
    assert (rmsprop.rho, rmsprop.epsilon) == (rules.rmsprop_rho, rules.rmsprop_eps)
    cells = {layers.SimpleRNN: "single", layers.LSTM: "single", layers.GRU: "double"}
    for cell, biases in cells.items():
        layer: Any = cell(4)
        layer.build((None, 5, 3))
        assert type(layer.cell.kernel_initializer) is initializers.GlorotUniform
        assert type(layer.cell.recurrent_initializer) is initializers.Orthogonal
        assert len(layer.weights) == 3
        assert biases == (rules.gru_biases if cell is layers.GRU else rules.biases)
        assert (layer.weights[2].ndim == 2) == (biases == "double")
    assert layers.LSTM(4).unit_forget_bias
    assert rules.forget_bias == 1
    assert layers.GRU(4).reset_after
    assert rules.gru_reset == "after"
    assert type(layers.Dense(2).kernel_initializer) is initializers.GlorotUniform


def test_torch_defaults() -> None:
    from torch import nn, optim
    from torch.utils.data import DataLoader

    rules = preset("torch")
    assert default(optim.Adam, "betas", "eps") == ((0.9, 0.999), rules.adam_eps)
    assert default(optim.RMSprop, "alpha", "eps") == (rules.rmsprop_rho, rules.rmsprop_eps)
    assert default(DataLoader, "drop_last") == (False,)
    assert rules.last_batch == "keep"
    for cell in (nn.RNN, nn.LSTM, nn.GRU):
        biases = [p for n, p in cell(3, 4).named_parameters() if n.startswith("bias")]
        assert [p.requires_grad for p in biases] == [True, True]
    assert rules.biases == rules.gru_biases == "double"


def test_jax_defaults() -> None:
    import optax

    rules = preset("jax")
    assert default(optax.adam, "b1", "b2", "eps", "eps_root") == (0.9, 0.999, rules.adam_eps, 0)
    assert default(optax.adamw, "b1", "b2", "eps", "eps_root") == (0.9, 0.999, rules.adam_eps, 0)
    assert default(optax.rmsprop, "decay", "eps") == (rules.rmsprop_rho, rules.rmsprop_eps)
    assert default(optax.rmsprop, "eps_in_sqrt", "initial_scale") == (True, 0)
    assert rules.rmsprop_eps_place == "inside"


def test_jax_preset_is_that_of_linen() -> None:
    """The GRU cell of nnx has no bias on the candidate's recurrent side, and fused kernels."""
    from flax import nnx

    rules = preset("jax")
    lstm: Any = nnx.LSTMCell(3, 4, rngs=nnx.Rngs(0))
    gru: Any = nnx.GRUCell(3, 4, rngs=nnx.Rngs(0))
    assert lstm.hf.kernel.shape == (4, 4)
    assert rules.init_gates == "each"
    assert gru.dense_h.kernel.shape == (4, 12)
    assert gru.dense_h.bias is None
    assert rules.gru_biases == "candidate"


@pytest.mark.slow
def test_tf32_switches() -> None:
    """As a fresh process finds them; what a GPU makes of them cannot be seen on a CPU."""
    script = """
import jax, tensorflow, torch
print(torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32,
      tensorflow.config.experimental.tensor_float_32_execution_enabled(),
      jax.config.jax_default_matmul_precision)
"""
    command = [sys.executable, "-c", script]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert found == ["True", "False", "True", "None"]
    assert [preset(name).tf32 for name in ("torch", "keras", "jax")] == ["recurrent", "on", "on"]
