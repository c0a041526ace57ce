"""What is trained: the sizes of network and data, and how much arithmetic a training step is.

The sizes say how many steps an epoch has, so that one takes about as long in each, and how many
replicas are trained at most: beyond that a step is bound by the machine's arithmetic alone, and
an epoch would take minutes and gigabytes.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.core.model import GATES

FEATURES = OUTPUTS = 1  # of the task that is trained, the sum of a sequence
CELLS = tuple(GATES)
FRAMEWORKS = ("numpy", "torch", "keras", "jax")
SHORT_STEPS = 4


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

    @property
    def samples(self) -> int:
        """A whole number of batches: no contestant meets a shorter last one."""
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

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"operations": self.operations}


@dataclass(frozen=True)
class Size:
    """A network's size and what is trained of it."""

    units: int
    length: int
    batch: int
    steps: int
    most_replicas: int


# In `tiny` a framework's own work decides, in `large` the machine's arithmetic.
SIZES = {
    "tiny": Size(32, 10, 8, steps=64, most_replicas=128),
    "medium": Size(128, 50, 32, steps=16, most_replicas=32),
    "large": Size(512, 100, 64, steps=4, most_replicas=8),
}


def cases(
    sizes: Iterable[str], cells: Iterable[str], replicas: list[int], short: bool
) -> list[Case]:
    """All that is trained, the replicas of a network one after the other."""
    found = []
    for name in sizes:
        size = SIZES[name]
        steps = min(size.steps, SHORT_STEPS) if short else size.steps
        for cell in cells:
            case = Case(name, cell, size.units, size.length, size.batch, steps)
            own = [r for r in replicas if r <= size.most_replicas]
            found += [replace(case, replicas=r) for r in own]
    return found


def left_out(sizes: Iterable[str], replicas: list[int]) -> list[str]:
    """A line for each size of which some numbers of replicas are not trained."""
    lines = []
    for name in sizes:
        most = SIZES[name].most_replicas
        beyond = ", ".join(str(r) for r in replicas if r > most)
        if beyond:
            lines.append(
                f"{name}: no {beyond} replicas; beyond {most} an epoch takes minutes and gigabytes"
            )
    return lines
