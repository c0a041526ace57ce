"""Known mistakes planted in a network, by code that the search does not share.

A plant is a name, the words by which its answer is known, and the network with the mistake in it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations

import ml_dtypes
import numpy as np

from harness.config.semantics_table import preset
from harness.core.arrays import Array
from harness.core.initializers import initial_params
from harness.formats.trained_network import Network

Weights = dict[str, Array]
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@dataclass(frozen=True)
class Plant:
    """A mistake: `group` is its line in the table, `said` is part of the sentence that names it."""

    group: str
    said: str
    make: Callable[[Network], Network]


def edited(change: Callable[[Weights], None]) -> Callable[[Network], Network]:
    """A network with changed weights, from a function that changes a copy of them."""

    def make(network: Network) -> Network:
        weights = {name: value.copy() for name, value in network.weights.items()}
        change(weights)
        return replace(network, weights=weights)

    return make


def plants(network: Network) -> Iterator[Plant]:
    """All single mistakes that can be made with the network's weights."""
    yield from gate_orders(network)
    yield from layouts(network)
    yield from biases(network)
    yield from forget_gates(network)
    yield from roundings()
    yield from uncopied(network)
    yield Plant("layers in the wrong order", "its layers in the order 1, 0", edited(swap_layers))
    yield from described(network)


def gate_orders(network: Network) -> Iterator[Plant]:
    gates = GATES[network.model.cell]
    parts = (("kernel",), ("recurrent_kernel",), ("bias",), ("kernel", "recurrent_kernel", "bias"))
    for order in list(permutations(range(gates)))[1:]:
        for endings in parts:
            what = "everywhere" if len(endings) > 1 else f"in {endings[0]} alone"
            change = edited(lambda w, o=order, e=endings: reorder(w, o, e, gates))
            yield Plant(f"gates in another order, {what}", "the gates", change)


def reorder(w: Weights, order: tuple[int, ...], endings: tuple[str, ...], gates: int) -> None:
    for name, value in w.items():
        ending = name.split(".")[-1].replace("recurrent_bias", "bias")
        if name.startswith("rnn") and ending in endings:
            units = value.shape[-1] // gates
            columns = [gate * units + unit for gate in order for unit in range(units)]
            w[name] = value[..., columns]


def layouts(network: Network) -> Iterator[Plant]:
    gates = GATES[network.model.cell]
    for ending in ("kernel", "recurrent_kernel"):
        change = edited(lambda w, e=ending: transpose(w, e, gates))
        yield Plant(f"{ending} transposed", "the weights of each gate transposed", change)
        if gates > 1:
            change = edited(lambda w, e=ending: reshape(w, e))
            said = "the numbers of the transposed matrix laid out"
            yield Plant(f"{ending} reshaped, not transposed", said, change)


def transpose(w: Weights, ending: str, gates: int) -> None:
    for name in w:
        if name.startswith("rnn") and name.split(".")[-1] == ending:
            units = w[name].shape[1] // gates
            for k in range(gates):
                block = slice(k * units, (k + 1) * units)
                w[name][:, block] = w[name][:, block].T.copy()


def reshape(w: Weights, ending: str) -> None:
    for name in w:
        if name.startswith("rnn") and name.split(".")[-1] == ending:
            w[name] = np.reshape(w[name].T.copy(), w[name].shape)


def second(w: Weights, layer: int) -> Array:
    """The second bias of a layer, as a view."""
    name = f"rnn.{layer}.recurrent_bias"
    return w[name] if name in w else w[f"rnn.{layer}.bias"][1]


def first(w: Weights, layer: int) -> Array:
    bias = w[f"rnn.{layer}.bias"]
    return bias if bias.ndim == 1 else bias[0]


def biases(network: Network) -> Iterator[Plant]:
    gates = GATES[network.model.cell]
    for which, rows in (("first", [first]), ("second", [second]), ("", [first, second])):
        for what, factor in (("dropped", 0), ("doubled", 2)):
            name = f"{which} bias".strip()
            change = edited(lambda w, r=rows, f=factor: scale(w, r, f))
            yield Plant(f"{name} {what}", f"the {name} {what}", change)
    for order in list(permutations(range(gates)))[1:]:
        change = edited(lambda w, o=order: second_elsewhere(w, o))
        said = "the second bias added to the wrong gates"
        yield Plant("second bias added to the wrong gates", said, change)
    if network.model.cell == "gru" and network.model.reset == "after":
        said = "the candidate's recurrent bias added to its input side"
        yield Plant("GRU's two candidate biases in one place", said, edited(one_place))


def scale(w: Weights, rows: list[Callable[[Weights, int], Array]], factor: float) -> None:
    for layer in range(2):
        for row in rows:
            row(w, layer)[...] *= factor


def second_elsewhere(w: Weights, order: tuple[int, ...]) -> None:
    for layer in range(2):
        row = second(w, layer)
        row[...] = row.reshape(len(order), -1)[list(order)].ravel()


def one_place(w: Weights) -> None:
    for layer in range(2):
        first(w, layer)[...] += second(w, layer)
        second(w, layer)[...] = 0


def forget_gates(network: Network) -> Iterator[Plant]:
    if network.model.cell != "lstm":
        return
    for what, amount in (("missing", -1), ("added twice", 1)):
        change = edited(lambda w, a=amount: add_to_forget(w, a))
        yield Plant(f"forget gate's 1 {what}", f"the forget gate's 1 {what}", change)


def add_to_forget(w: Weights, amount: float) -> None:
    for layer in range(2):
        units = len(first(w, layer)) // 4
        first(w, layer)[units : 2 * units] += amount


def roundings() -> Iterator[Plant]:
    for dtype in (np.float16, ml_dtypes.bfloat16):
        name = np.dtype(dtype).name
        for ending in ("", "kernel", "recurrent_kernel"):
            change = edited(lambda w, d=dtype, e=ending: round_to(w, d, e))
            what = f"{ending}s" if ending else "all weights"
            yield Plant(f"{what} rounded to {name}", f"rounded to {name}", change)


def round_to(w: Weights, dtype: type, ending: str) -> None:
    for name in w:
        if not ending or name.split(".")[-1] == ending:
            w[name] = w[name].astype(dtype).astype(np.float32)


def uncopied(network: Network) -> Iterator[Plant]:
    """Each kernel as each initialiser draws it, and each bias of 20 numbers or more."""
    for rule in ("glorot_uniform", "lecun_normal", "uniform_units", "orthogonal", "zeros"):
        kernels = {"kernel_init": rule, "recurrent_init": rule, "head_kernel_init": rule}
        yield from _uncopied(network, rule, "kernel", kernels)
    for rule in ("zeros", "uniform_units", "standard_normal"):
        yield from _uncopied(network, rule, "bias", {"bias_init": rule, "head_bias_init": rule})


def _uncopied(network: Network, rule: str, ending: str, rules: dict[str, str]) -> Iterator[Plant]:
    semantics = replace(preset("matched"), **rules)
    drawn = initial_params(network.model, semantics, [11], "float32")
    for name in network.weights:
        if not name.endswith(ending) or name.endswith("recurrent_bias"):
            continue
        together = [name, name.replace(".bias", ".recurrent_bias")]
        few = network.weights[name].size < 20 and rule != "zeros"
        if few or (name.startswith("rnn") and ending == "bias" and rule != "zeros"):
            continue  # the sum of two uniform rows is not uniform
        change = edited(
            lambda w, names=together: w.update({n: drawn[n][0] for n in names if n in w})
        )
        yield Plant(f"one {ending} not copied ({rule})", f"{name} not copied", change)


def swap_layers(w: Weights) -> None:
    for name in [name for name in w if name.startswith("rnn.0.")]:
        other = name.replace("rnn.0.", "rnn.1.")
        w[name], w[other] = w[other], w[name]


def shuffle_units(w: Weights) -> None:
    """Put the units of both layers in another order, wherever they are used."""
    rng = np.random.default_rng(8)
    for layer, after in ((0, "rnn.1.kernel"), (1, "head.kernel")):
        recurrent = f"rnn.{layer}.recurrent_kernel"
        units = len(w[recurrent])
        order = rng.permutation(units)
        for name in [name for name in w if name.startswith(f"rnn.{layer}.")]:
            starts = range(0, w[name].shape[-1], units)
            w[name] = np.concatenate([w[name][..., order + start] for start in starts], axis=-1)
        w[recurrent], w[after] = w[recurrent][order], w[after][order]


def described(network: Network) -> Iterator[Plant]:
    """The mistakes in what is said of a network, beside its weights."""
    zeros, ones = np.zeros_like(network.x_mean), np.ones_like(network.x_std)
    yield Plant(
        "input scaling missing",
        "without the scaling of its inputs",
        lambda n: replace(n, x_mean=zeros, x_std=ones),
    )
    yield Plant(
        "output scaling missing",
        "without the scaling of its outputs",
        lambda n: replace(n, y_mean=0.0, y_std=1.0),
    )
    if network.model.cell == "gru":
        other = {"after": "before", "before": "after"}[network.model.reset]
        yield Plant(
            "reset gate before against after",
            "on the other side of the recurrent product",
            lambda n: replace(n, model=replace(n.model, reset=other)),
        )
    if network.model.cell == "rnn":
        yield Plant(
            "tanh against relu",
            "with relu as its activation",
            lambda n: replace(n, model=replace(n.model, activation="relu")),
        )
