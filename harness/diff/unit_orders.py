"""The order of the hidden units: two networks may differ in it and still compute the same.

A unit is known by the numbers that move with it: its column of the kernel, its recurrent weight on
itself, its bias, gates sorted by size, since they may be in another order, too. Most of these have
to agree on the unit in the other network. To put units in another order is no mistake and changes
no output, so a wrong guess can explain nothing that is not so.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from harness.core.arrays import Array
from harness.core.gates import layer_of
from harness.core.layer_weights import Weights
from harness.core.model import Params
from harness.formats.trained_network import Network

Order = tuple[int, ...]


def in_units_of(a: Network, b: Network) -> tuple[Network, list[int]]:
    """Return B with its units in A's order, and the layers in which they were in another.

    Without a head, the last layer's units are the outputs, whose order is not free.
    """
    moved = []
    for layer in range(b.model.layers - (b.model.head == "none")):
        order = _order(a.layers[layer], b.layers[layer])
        if order is not None:
            b = replace(b, weights=_reordered(b, layer, list(order)))
            moved.append(layer)
    return b, moved


def _order(a: Weights, b: Weights) -> Order | None:
    """Return which of B's units is each of A's; None if that is plain or cannot be told."""
    found: Counter[Order] = Counter()
    for mine, theirs in zip(_signatures(*a), _signatures(*b), strict=True):
        order = tuple(map(int, _gaps(mine, theirs).argmin(axis=1)))
        if len(set(order)) == len(order):
            found[order] += 1
    order = max(found, key=lambda each: found[each], default=None)
    return None if order == tuple(range(len(a[1]))) else order


def _signatures(W: Array, U: Array, b: Array) -> list[Array]:
    """Return numbers `(U, …)` by which a unit is known wherever it stands."""
    units = len(U)
    columns = np.sort(W.reshape(len(W), -1, units), axis=1)  # (F, G, U)
    own = np.diagonal(U.reshape(units, -1, units), axis1=0, axis2=2)  # (G, U)
    bias = b.sum(axis=0).reshape(-1, units)
    return [columns.reshape(-1, units).T, np.sort(own, axis=0).T, np.sort(bias, axis=0).T]


def _gaps(mine: Array, theirs: Array) -> Array:
    """Return the squared distances of all pairs, `(U, U)`."""
    mine, theirs = mine.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        sizes = np.square(mine).sum(axis=1)[:, None] + np.square(theirs).sum(axis=1)
        return sizes - 2 * mine @ theirs.T


def _reordered(network: Network, layer: int, order: list[int]) -> Params:
    """Return the weights with the units of a layer in another order, wherever they are used."""
    weights, units = dict(network.weights), network.model.units
    for name, value in network.weights.items():
        if layer_of(name) == layer:
            per_unit = value.reshape(*value.shape[:-1], -1, units)
            weights[name] = per_unit[..., order].reshape(value.shape)
    own = f"rnn.{layer}.recurrent_kernel"
    after = f"rnn.{layer + 1}.kernel" if layer + 1 < network.model.layers else "head.kernel"
    for name in (own, after):
        weights[name] = weights[name][order]
    return weights
