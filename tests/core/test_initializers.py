"""Initial weights under each preset have the distribution that the framework itself draws from.

`NETWORKS` networks are drawn on each side. Each gives a few numbers (mean, variance and largest
magnitude of an array, spectral radius of a gate's recurrent block, …), so the two sides are two
independent samples of `NETWORKS` numbers, compared by Welch's t: 5 standard errors, which equal
distributions exceed once in 1.7 million comparisons. Seeds are fixed, so the outcome is, too.
Frameworks draw in float32: what is exactly 0 in float64 (a mean of zeros, the distance of an
orthogonal matrix from orthogonality) may there be as large as `ROUNDING`.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from harness.core.arrays import Array
from harness.core.initializers import initial_params
from harness.core.model import GATES, ModelSpec, Params, shapes
from tests.support.problems import preset

NETWORKS = 100
FEATURES, UNITS, OUTPUTS = 3, 32, 2
ERRORS, ROUNDING = 5.0, 2e-6
CELLS = list(GATES)

each_framework = pytest.mark.parametrize("framework", ["keras", "torch", "jax"])
each_cell = pytest.mark.parametrize("cell", CELLS)


# ----------------------------------------------------------- both sides: canonical arrays (100, …)


@cache
def ours(framework: str, cell: str, layers: int = 1, **changed: Any) -> Params:
    rules = replace(preset(framework), **changed)
    biases = rules.gru_biases if cell == "gru" else rules.biases
    model = ModelSpec(
        cell=cell,
        features=FEATURES,
        units=UNITS,
        layers=layers,
        activation="tanh",
        returns="last",
        head="dense",
        outputs=OUTPUTS,
        biases=biases,
    )
    params = initial_params(model, rules, list(range(NETWORKS)), "float64")
    assert params.keys() == shapes(model).keys()
    return params


@cache
def theirs(framework: str, cell: str, layers: int = 1) -> Params:
    draw = {"keras": from_keras, "torch": from_torch, "jax": from_jax}[framework]
    return draw(cell, layers)


def stacked(networks: list[list[Any]], names: list[str]) -> Params:
    arrays = zip(*networks, strict=True)
    return {n: np.stack(a).astype(float) for n, a in zip(names, arrays, strict=True)}


def names(layer: int) -> list[str]:
    return [f"rnn.{layer}.{name}" for name in ("kernel", "recurrent_kernel", "bias")]


RNN = names(0)
HEAD = ["head.kernel", "head.bias"]


def from_keras(cell: str, layers: int) -> Params:
    import keras

    keras.utils.set_random_seed(0)
    classes = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    networks = []
    for _ in range(NETWORKS):
        deeper = [classes[cell](UNITS, return_sequences=True) for _ in range(layers - 1)]
        stack = [*deeper, classes[cell](UNITS), keras.layers.Dense(OUTPUTS)]
        for n, layer in enumerate(stack[:-1]):
            layer.build((None, 5, UNITS if n else FEATURES))
        stack[-1].build((None, UNITS))
        networks.append([array for layer in stack for array in layer.get_weights()])
    return stacked(networks, [name for n in range(layers) for name in names(n)] + HEAD)


def from_torch(cell: str, layers: int) -> Params:
    import torch
    from torch import nn

    classes = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    networks = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(NETWORKS):
            layer, head = classes[cell](FEATURES, UNITS, layers), nn.Linear(UNITS, OUTPUTS)
            tensors = [*layer.parameters(), *head.parameters()]
            networks.append([t.detach().numpy().T for t in tensors])
    second = [f"rnn.{n}.recurrent_bias" for n in range(layers)]
    own = [name for n in range(layers) for name in (*names(n), second[n])]
    params = stacked(networks, own + HEAD)
    for n in range(layers) if cell == "gru" else ():
        bias = names(n)[2]
        params[bias] = np.stack([params[bias], params.pop(second[n])], axis=1)
    return params


def from_jax(cell: str, layers: int) -> Params:
    """Each layer is drawn with keys of its own."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    keys = jax.random.split(jax.random.key(1), (layers + 1, NETWORKS))
    params: Params = {}
    for n in range(layers):
        params |= jax_layer(cell, n, keys[n])
    x = jnp.ones((1, UNITS))
    head: Any = jax.vmap(lambda key: nn.Dense(OUTPUTS).init(key, x)["params"])(keys[-1])
    return params | {name: np.asarray(head[name[5:]], float) for name in HEAD}


def jax_layer(cell: str, n: int, keys: Any) -> Params:
    """Layer n of each network."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    layer: Any = {"rnn": nn.SimpleCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}[cell](UNITS)
    x = jnp.ones((1, UNITS if n else FEATURES))
    carry = layer.initialize_carry(jax.random.key(0), x.shape)

    def own(key: Any) -> Any:
        return layer.init(key, carry, x)["params"]

    # One after the other: batched factorisations can block XLA's two threads for good, each waiting
    # for the other's part (jaxlib 0.10.2).
    drawn = jax.jit(lambda keys: jax.lax.map(own, keys))(keys)
    gates = {"rnn": [""], "lstm": list("ifgo"), "gru": list("zrn")}[cell]
    biased = "h" if cell == "lstm" else "i"

    def wide(side: str, kind: str) -> Array:
        return np.concatenate([drawn[side + gate][kind] for gate in gates], axis=-1).astype(float)

    arrays = (wide("i", "kernel"), wide("h", "kernel"), wide(biased, "bias"))
    params = dict(zip(names(n), arrays, strict=True))
    if cell == "gru":
        params[f"rnn.{n}.recurrent_bias"] = np.asarray(drawn["hn"]["bias"], float)
    return params


# ------------------------------------------------------------------------------ what is compared


def numbers(name: str, drawn: Array, gates: int) -> dict[str, Array]:
    """`drawn` `(100, …)` -> what is compared of it, `(100,)` each."""
    flat = drawn.reshape(NETWORKS, -1)
    found = {"mean": flat.mean(axis=1), "variance": flat.var(axis=1)}
    found["largest"] = np.abs(flat).max(axis=1)
    if name.startswith("rnn.") and name.endswith(
        ".bias"
    ):  # the forget gate's bias has another mean
        found |= {
            f"mean {g}": part.reshape(NETWORKS, -1).mean(axis=1)
            for g, part in enumerate(np.split(drawn, gates, axis=-1))
        }
    if name.endswith(".recurrent_kernel"):
        found["not orthogonal"] = defect(drawn)
        for g, block in enumerate(np.split(drawn, gates, axis=-1)):
            found[f"spectral radius {g}"] = np.abs(np.linalg.eigvals(block)).max(axis=1)
            found[f"not orthogonal {g}"] = defect(block)
    return found


def defect(matrices: Array) -> Array:
    """How far the rows are from orthonormal, `(100,)`."""
    product = matrices @ matrices.swapaxes(1, 2)
    return np.abs(product - np.eye(product.shape[1])).max(axis=(1, 2))


def differences(cell: str, one: Params, other: Params) -> list[str]:
    """The numbers in which two sets of 100 networks differ."""
    assert one.keys() == other.keys(), f"{list(one)}, not {list(other)}"
    found = []
    for name in one:
        assert one[name].shape == other[name].shape, name
        a, b = (numbers(name, side[name], GATES[cell]) for side in (one, other))
        for key in a:
            error = np.hypot(a[key].std(ddof=1), b[key].std(ddof=1)) / NETWORKS**0.5
            if abs(a[key].mean() - b[key].mean()) > ERRORS * error + ROUNDING:
                found.append(f"{name}: {key}")
    return found


@each_cell
@each_framework
def test_drawn_as_the_framework_draws(framework: str, cell: str) -> None:
    assert differences(cell, ours(framework, cell), theirs(framework, cell)) == []


@each_cell
@each_framework
def test_a_second_layer_is_drawn_as_the_framework_draws(framework: str, cell: str) -> None:
    """Its input kernel is as wide as it is high, `(U, GU)`, so its limits are others."""
    mine, its = ours(framework, cell, 2), theirs(framework, cell, 2)
    assert mine["rnn.1.kernel"].shape[1:] == (UNITS, GATES[cell] * UNITS)
    assert differences(cell, mine, its) == []
    swapped = {"rnn.1.kernel": mine["rnn.1.recurrent_kernel"]}
    same = framework == "torch"  # where both are uniform, to the same limit
    assert (differences(cell, mine | swapped, its) == []) == same


@each_cell
@each_framework
def test_uniform_draws_end_where_the_frameworks_do(framework: str, cell: str) -> None:
    """The largest of M uniform draws is below (1 − 20/M) of the limit with a chance of e⁻²⁰."""
    mine, its = ours(framework, cell), theirs(framework, cell)
    rules = preset(framework)
    uniform = [RNN[0]] if "uniform" in rules.kernel_init else []
    uniform += [HEAD[0]] if "uniform" in rules.head_kernel_init else []
    uniform += [RNN[1], RNN[2], HEAD[1]] if framework == "torch" else []
    for name in uniform:
        a, b = np.abs(mine[name]).max(), np.abs(its[name]).max()
        assert abs(a - b) <= (20 / mine[name].size) * max(a, b) + ROUNDING, name
    assert uniform or framework == "jax", "whose normal draws have no sharp end"


@each_cell
def test_keras_draws_all_gates_as_one_orthogonal_matrix(cell: str) -> None:
    for drawn in (ours("keras", cell), theirs("keras", cell)):
        assert defect(drawn[RNN[1]]).max() <= ROUNDING
        if cell != "rnn":
            block = drawn[RNN[1]][..., :UNITS]
            assert defect(block).min() > 0.5


@each_cell
@pytest.mark.slow
def test_flax_draws_each_gate_as_an_orthogonal_matrix(cell: str) -> None:
    for drawn in (ours("jax", cell), theirs("jax", cell)):
        for block in np.split(drawn[RNN[1]], GATES[cell], axis=-1):
            assert defect(block).max() <= ROUNDING


@each_cell
@pytest.mark.parametrize("framework", ["keras", "jax"])
def test_biases_start_at_zero_but_for_keras_forget_gate(framework: str, cell: str) -> None:
    for drawn in (ours(framework, cell), theirs(framework, cell)):
        expected = {n: np.zeros_like(value) for n, value in drawn.items() if n.endswith("bias")}
        if (framework, cell) == ("keras", "lstm"):
            expected[RNN[2]][:, UNITS : 2 * UNITS] = 1
        for name, value in expected.items():
            np.testing.assert_array_equal(drawn[name], value)


# ---------------------------------------------------------------------------- and how this can fail


def test_keras_preset_is_not_what_torch_draws() -> None:
    found = differences("gru", ours("keras", "gru"), theirs("torch", "gru"))
    assert {each.split(":")[0] for each in found} == {*RNN, *HEAD}


@pytest.mark.parametrize(
    ("framework", "cell", "rule", "other"),
    [
        ("keras", "lstm", "kernel_init", "uniform_units"),
        ("keras", "rnn", "kernel_init", "lecun_normal"),
        ("keras", "rnn", "recurrent_init", "glorot_uniform"),
        ("keras", "gru", "init_gates", "each"),
        ("keras", "lstm", "forget_bias", 0.0),
        ("keras", "rnn", "head_kernel_init", "lecun_normal"),
        ("torch", "rnn", "recurrent_init", "orthogonal"),
        ("torch", "rnn", "kernel_init", "glorot_uniform"),
        ("torch", "gru", "bias_init", "zeros"),
        ("torch", "rnn", "head_kernel_init", "glorot_uniform"),
        ("torch", "rnn", "head_bias_init", "zeros"),
        ("torch", "lstm", "forget_bias", 1.0),
        ("jax", "lstm", "init_gates", "fused"),
        ("jax", "rnn", "kernel_init", "glorot_uniform"),
        ("jax", "lstm", "forget_bias", 1.0),
        ("jax", "rnn", "head_kernel_init", "glorot_uniform"),
    ],
)
def test_each_rule_is_seen(framework: str, cell: str, rule: str, other: Any) -> None:
    """With one rule of the preset replaced, the draws are told from the framework's."""
    assert getattr(preset(framework), rule) != other
    assert differences(cell, ours(framework, cell, **{rule: other}), theirs(framework, cell))
