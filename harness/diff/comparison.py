"""Two networks compared on the same inputs, and what explains their difference."""

from dataclasses import dataclass, replace
from functools import cached_property

from harness.core.arrays import Array
from harness.core.difference import Difference
from harness.diff.inputs import Inputs
from harness.diff.nearest import Nearest, nearest
from harness.diff.outputs import Measure, Place
from harness.diff.program import Computed, Program, run
from harness.diff.search import Answer, search, weight_search
from harness.diff.unit_orders import in_units_of
from harness.diff.weight_search import WeightSearch
from harness.formats.trained_network import Network


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A and B, of the same structure; `given` are outputs that B's own program gave, if known."""

    a: Network
    b: Network
    inputs: Inputs
    given: Array | None = None

    @cached_property
    def measure(self) -> Measure:
        """A on the inputs."""
        return Measure(self.a, self.inputs, self.precision)

    @property
    def precision(self) -> str:
        """The coarser of both."""
        return "float32" if "float32" in (self.a.precision, self.b.precision) else "float64"

    @cached_property
    def weights(self) -> WeightSearch:
        """The weights of both, side by side."""
        return weight_search(self.a, self.b, self.precision)

    @cached_property
    def theirs(self) -> Computed:
        """What B's network computes."""
        return run(Program(network=self.b), self.inputs)

    @property
    def outputs_of_b(self) -> Array:
        """What B's own program gave, or else what its network computes."""
        return self.theirs.outputs if self.given is None else self.given

    @cached_property
    def difference(self) -> Difference:
        """The largest difference of the outputs, or one beyond its limit."""
        return self.measure.outputs(self.measure.computed.outputs, self.outputs_of_b)

    @cached_property
    def place(self) -> Place | None:
        """Where hidden states first differ, as far as the weights tell."""
        return self.measure.first(self.theirs)

    @cached_property
    def copied(self) -> bool:
        """Whether all weights are equal but for rounding."""
        return not self.weights.differing()

    @property
    def same(self) -> bool:
        """Whether both compute the same; where outputs cannot be judged, weights decide."""
        return not self.difference.beyond and (self.difference.judged or self.copied)

    def answers(self) -> list[Answer]:
        """Return the smallest sets of known mistakes that make B of A."""
        return search(self.measure, self.b, self.outputs_of_b, self.given is not None)

    def reversed_answers(self) -> list[Answer]:
        """Return those that make A of B, which is not asked of a program's own outputs.

        A may be trained little and still look as drawn, so that is no explanation here.
        """
        if self.given is not None:
            return []
        of_b = Measure(self.b, self.inputs, self.precision)
        return search(of_b, self.a, self.measure.computed.outputs, drawn=False)

    @cached_property
    def in_units_of_a(self) -> tuple["Comparison", list[int]]:
        """B with its units in A's order, and the layers in which they were in another."""
        b, layers = in_units_of(self.a, self.b)
        return replace(self, b=b), layers

    def nearest(self) -> Nearest:
        """Return what comes nearest to B where nothing explains it."""
        return nearest(self.weights)
