"""What one value of an ONNX graph is: its axes, and the network that computes it from the input.

Exporters turn, split and join axes around recurrent layers. An axis is therefore a tuple of what it
runs over: `("batch", N)` alone, `(("batch", N), ("steps", T))` where both were joined to one axis,
and `()` for an axis of size 1 that stands for nothing, such as that of the directions.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Self

from harness.core.arrays import Array
from harness.core.layer_weights import Weights

Atom = tuple[str, int]  # what is run over, and how many there are
Axis = tuple[Atom, ...]

STEPS = "steps"
# Where a file leaves the sizes of its input open, these primes stand for them, which no other size
# is by accident: one for each axis.
OPEN = (10007, 10009, 10037)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A recurrent layer as `harness/core/model.py` has it, gates in canonical order."""

    node: str
    cell: str
    activation: str
    reset: str
    weights: Weights  # W (F, GU), U (U, GU), b (2, GU)
    has_biases: bool
    batch_first: bool  # layout 1, which ONNX Runtime does not have


@dataclass(frozen=True, kw_only=True)
class Computed:
    """What the nodes up to some value compute; None for what they do not have."""

    input: str
    layers: tuple[Layer, ...] = ()
    time_axis: int = 0  # of the input: 0 or 1
    x_mean: Array | None = None
    x_std: Array | None = None
    dense: str = ""  # the node of the head's product
    kernel: Array | None = None
    bias: Array | None = None
    sigmoid: bool = False
    y_std: Array | None = None
    y_mean: Array | None = None
    types: frozenset[str] = field(default_factory=frozenset[str])  # of all values so far


@dataclass(frozen=True, kw_only=True)
class Signal:
    """A value that depends on the model's input."""

    axes: tuple[Axis, ...]
    by: Computed

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return tuple(math.prod(n for _, n in axis) for axis in self.axes)

    def with_axes(self, axes: list[Axis]) -> Self:
        """Return the same value with other axes."""
        return replace(self, axes=tuple(axes))

    def check_bound(self, sizes: list[int]) -> None:
        """Raise `Bound` if a shape, in which -1 is free, has a fixed size for an open axis."""
        own = [size for size in self.shape if size != 1]
        wanted = [size for size in sizes if size != 1]
        if len(own) == len(wanted):
            for size, other in zip(own, wanted, strict=True):
                if size in OPEN and 0 < other != size:
                    raise Bound(OPEN.index(size), other)

    def reshaped(self, sizes: list[int]) -> Self | None:
        """Return the value in the shape `sizes`, or None if that would tear an axis apart."""
        atoms = [atom for axis in self.axes for atom in axis]
        axes: list[Axis] = []
        for size in sizes:
            taken: list[Atom] = []
            while atoms and (math.prod(n for _, n in taken) < size or (not taken and size == 1)):
                if size == 1 and atoms[0][1] != 1:
                    break
                taken.append(atoms.pop(0))
            if math.prod(n for _, n in taken) != size:
                return None
            axes.append(tuple(taken))
        if any(n != 1 for _, n in atoms) or (atoms and not axes):
            return None
        if atoms:  # of size 1
            axes[-1] += tuple(atoms)
        return self.with_axes(axes)


@dataclass(frozen=True)
class Joined:
    """Several values side by side along an axis on which each has size 1."""

    signals: tuple[Signal, ...]
    axis: int


class Bound(Exception):
    """A graph that takes only `size` elements along an axis of its input that it leaves open.

    PyTorch's exporter writes such: it reshapes to the number of steps that it was shown.
    """

    def __init__(self, axis: int, size: int) -> None:
        super().__init__(axis, size)
        self.axis, self.size = axis, size


class Zeros:
    """A constant of zeros of any shape: no memory is taken for an initial state."""
