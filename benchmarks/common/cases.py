"""The trained networks: sizes of network and data, and the arithmetic of a training step.

A size has a number of steps per epoch, chosen so that an epoch takes about as long in each size,
and a largest number of replicas: beyond it a step is bound by the machine's arithmetic alone, and
an epoch would take minutes and gigabytes.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from harness.core.model import GATES

FEATURES = OUTPUTS = 1  # the task is the sum of a sequence
CELLS = tuple(GATES)
FRAMEWORKS = ("numpy", "torch", "keras", "jax")
SHORT_STEPS = 4
KEPT = {"rnn": 1, "lstm": 6, "gru": 5}  # arrays (T, B, H) that a forward pass keeps for the other
FLOAT = 4  # bytes of a float32


@dataclass(frozen=True)
class Case:
    """One network with its batches; an epoch is `steps` updates of each of `replicas` replicas."""

    size: str  # its name in the tables
    cell: str
    units: int
    length: int
    batch: int
    steps: int
    replicas: int = 1

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Case":
        """Return the case of a row, or of any other mapping that has its fields."""
        return cls(**{field.name: facts[field.name] for field in fields(cls)})

    @property
    def samples(self) -> int:
        """The number of samples: a whole number of batches, so that no batch is shorter."""
        return self.steps * self.batch

    @property
    def operations(self) -> int:
        """Floating point operations of the matrix products in one step of one replica.

        A product of `(B, n)` and `(n, m)` is 2·B·n·m. Backpropagation has two of that size for each
        one of the forward pass: for the gradient of its inputs and of its weights.
        """
        inputs = FEATURES + self.units
        recurrent = 2 * self.batch * self.length * GATES[self.cell] * self.units * inputs
        head = 2 * self.batch * self.units * OUTPUTS
        return 3 * (recurrent + head)

    @property
    def bytes(self) -> int:
        """Bytes that one step of one replica moves if each array is moved once for each use of it.

        Weights are read by both passes, their gradient is written, and Adam reads gradient, weights
        and two moments and writes the last three. What the forward pass keeps, and the gradient
        before each activation, is written and read. A cache may save most of it.
        """
        G, H = GATES[self.cell], self.units
        weights = G * H * (FEATURES + H + 1) + (H + 1) * OUTPUTS
        per_step = 2 * FEATURES + 2 * (KEPT[self.cell] + G) * H
        return FLOAT * (10 * weights + self.batch * self.length * per_step)

    def facts(self) -> dict[str, Any]:
        """Return the fields, `operations` and `bytes`, for JSON."""
        return asdict(self) | {"operations": self.operations, "bytes": self.bytes}


@dataclass(frozen=True)
class Size:
    """A size of network and data, and its most replicas."""

    units: int
    length: int
    batch: int
    steps: int
    most_replicas: int


# `tiny` is bound by the framework's overhead, `large` by the machine's arithmetic.
SIZES = {
    "tiny": Size(32, 10, 8, steps=64, most_replicas=128),
    "medium": Size(128, 50, 32, steps=16, most_replicas=32),
    "large": Size(512, 100, 64, steps=4, most_replicas=8),
}


def cases(
    sizes: Iterable[str],
    cells: Iterable[str],
    replicas: list[int],
    short: bool,
    *,
    limited: bool = True,
) -> list[Case]:
    """Return the cases, for each network in the order of its numbers of replicas.

    They have at most the size's most replicas if `limited`.
    """
    chosen = []
    for name in sizes:
        size = SIZES[name]
        steps = min(size.steps, SHORT_STEPS) if short else size.steps
        for cell in cells:
            case = Case(name, cell, size.units, size.length, size.batch, steps)
            allowed = [r for r in replicas if not limited or r <= size.most_replicas]
            chosen += [replace(case, replicas=r) for r in allowed]
    return chosen


def left_out(sizes: Iterable[str], replicas: list[int]) -> list[str]:
    """Return a line for each size that leaves out some of the numbers of replicas."""
    lines = []
    for name in sizes:
        most = SIZES[name].most_replicas
        beyond = ", ".join(str(r) for r in replicas if r > most)
        if beyond:
            lines.append(
                f"{name}: no {beyond} replicas; beyond {most} an epoch takes minutes and gigabytes"
            )
    return lines
