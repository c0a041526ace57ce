"""What two programs compute on the same inputs, and where they first differ by more than rounding.

A difference is judged as in `harness/core/difference.py`: by the limit of the table, or by the
control band where that is wider. Copies of A whose weights are one unit in the last place higher or
lower give the band.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.core.arrays import Array
from harness.core.difference import Difference, by_tensor, compare
from harness.core.model import Params
from harness.core.random_streams import stream
from harness.core.rounding import MAX_BAND, one_ulp, tensor_bands
from harness.diff.inputs import Inputs
from harness.diff.program import Computed, Program, run
from harness.formats.trained_network import Network

COPIES = 8


def without_strays(expected: Array, actual: Array) -> Array:
    """Return the actual outputs `(N, …)`, but the expected ones for the quarter that differs most.

    Of numbers that are rounded on the way a few lie so near to an edge that another program rounds
    them to the other side. Their sequences differ from then on, and say nothing of the program.
    """
    gaps = np.abs(expected - actual).reshape(len(expected), -1).max(axis=1)
    strays = np.argsort(gaps)[len(gaps) - len(gaps) // 4 :]
    actual = actual.copy()
    actual[strays] = expected[strays]
    return actual


@dataclass(frozen=True)
class Place:
    """The first time step, layer and gates beyond rounding; the earliest, then the lowest layer."""

    time_step: int
    layer: str
    gates: dict[str, float]  # gates beyond their limits there -> the largest relative difference
    difference: Difference


@dataclass(frozen=True)
class Measure:
    """A's network on some inputs, as the measure of others: what it computes, and its band."""

    network: Network
    inputs: Inputs
    precision: str

    @cached_property
    def computed(self) -> Computed:
        """What A computes."""
        return run(Program(network=self.network), self.inputs)

    @cached_property
    def copies(self) -> list[Computed]:
        """What A and copies of it compute whose weights are rounded anew."""
        rng = stream(0, "diff band")
        weights = {n: v.astype(self.precision) for n, v in self.network.weights.items()}
        moved = [weights] + [
            {n: one_ulp(v, rng, 0) for n, v in weights.items()} for _ in range(COPIES - 1)
        ]
        return [
            run(Program(network=replace(self.network, weights=each)), self.inputs) for each in moved
        ]

    def outputs(self, expected: Array, actual: Array) -> Difference:
        """Compare outputs of the shape of A's: the worst, or one beyond its limit."""
        return self._judged("outputs", {"outputs": self._centred(expected)}, self._centred(actual))

    def _judged(self, stage: str, expected: Params, actual: Array) -> Difference:
        [name] = expected
        found = compare(stage, expected, {name: actual}, self.precision, {})
        if found.beyond and np.isfinite(found.error):
            band = self._band(stage, name, [self._centred(copy.outputs) for copy in self.copies])
            found = compare(stage, expected, {name: actual}, self.precision, band)
        return found

    def _centred(self, outputs: Array) -> Array:
        """Return outputs `(1, N, …)` from the targets' mean, in which no program can differ."""
        return (outputs - self.network.y_mean)[None]

    def _band(self, stage: str, name: str, copies: list[Array]) -> Params:
        """Return the band of a tensor, infinite where the copies are too far apart."""
        band = tensor_bands(stage, {name: np.concatenate(copies)}, self.precision, len(copies))
        return {n: np.where(width > MAX_BAND, np.inf, width) for n, width in band.items()}

    def first(self, other: Computed) -> Place | None:
        """Return where the hidden states of another network first differ from A's, or None."""
        mine, theirs = (_with_replica(each.states) for each in (self.computed, other))
        mask = self.inputs.mask[None, :, :, None]  # states at padding repeat the last real ones
        mine, theirs = ({n: v * mask for n, v in each.items()} for each in (mine, theirs))
        bands: Params = {}
        if any(d.beyond for d in by_tensor("hidden states", mine, theirs, self.precision, {})):
            for name in mine:
                states = [copy.states[name][None] * mask for copy in self.copies]
                bands |= self._band("hidden states", name, states)
        found = by_tensor("hidden states", mine, theirs, self.precision, bands)
        beyond = [difference for difference in found if difference.beyond]
        if not beyond:
            return None
        worst = min(beyond, key=lambda difference: (difference.index[2], difference.tensor))
        step, layer = worst.index[2], worst.tensor
        return Place(step, layer, self._gates(other, layer, step), worst)

    def _gates(self, other: Computed, layer: str, step: int) -> dict[str, float]:
        """Return the gates of a layer beyond the limit at a time step, with their differences."""
        mine, theirs = (
            {gate: v[None, :, step : step + 1] for gate, v in each.gates[layer].items()}
            for each in (self.computed, other)
        )
        found = by_tensor("hidden states", mine, theirs, self.precision, {})
        return {difference.tensor: difference.error for difference in found if difference.beyond}


def _with_replica(tensors: Params) -> Params:
    return {name: value[None] for name, value in tensors.items()}
