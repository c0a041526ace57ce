"""Find the known mistakes, one or two, by which A's program becomes B's.

Mistakes in copying are found in the weights, mistakes in computing by outputs. An answer has to
explain both: A with the mistakes has B's weights, and gives B's outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from harness.core.arrays import Array
from harness.core.difference import Difference
from harness.diff.behaviours import Behaviour, behaviours, described
from harness.diff.mistakes import Mistake
from harness.diff.outputs import Measure, without_strays
from harness.diff.program import Program, run
from harness.diff.tensors import acting, stored
from harness.diff.weight_search import WeightSearch
from harness.formats.trained_network import Network

MOST = 2  # mistakes of an answer


@dataclass(frozen=True)
class Answer:
    """Mistakes that explain B's weights and outputs, and the largest difference that remains."""

    copied: dict[Mistake, list[str]]  # mistakes in copying -> tensors
    computed: tuple[Behaviour, ...]
    remaining: Difference

    @property
    def count(self) -> int:
        """The number of mistakes."""
        return len(self.copied) + len(self.computed)


def search(
    measure: Measure, b: Network, outputs: Array, foreign: bool = False, drawn: bool = True
) -> list[Answer]:
    """Return the answers with the fewest mistakes: each explains all of B's weights and outputs.

    `measure` is A; `outputs` are what B gives for its inputs. They are `foreign` if another program
    computed them: it may make mistakes that no network's description has. `drawn` says whether one
    of B's tensors may be as an initialiser drew it.
    """
    a = measure.network
    known = behaviours(measure.inputs) if foreign else described()
    answers: list[Answer] = []
    weights = replace(weight_search(a, b, measure.precision), drawn=drawn)
    for explained in weights.answers():
        program = Program(network=with_weights_of(a, b) if explained.mistakes else a)
        budget = MOST - len(explained.mistakes)
        answers += [
            Answer(explained.mistakes, changed, remaining)
            for changed, remaining in _by_outputs(program, measure, outputs, budget, known)
        ]
    fewest = min((answer.count for answer in answers), default=0)
    return [answer for answer in answers if answer.count == fewest]


def weight_search(a: Network, b: Network, precision: str) -> WeightSearch:
    """Return the search among the weights of both, in a form that both have."""
    before = a.model.reset == b.model.reset == "before"
    form = replace(a.model, reset="before" if before else "after")
    theirs = {name: acting(name, value, form) for name, value in stored(b).items()}
    return WeightSearch(stored(a), theirs, form, precision)


def with_weights_of(a: Network, b: Network) -> Network:
    """Return A's network with B's weights."""
    return replace(a, weights=b.weights, model=replace(a.model, biases=b.model.biases))


def _by_outputs(
    program: Program,
    measure: Measure,
    outputs: Array,
    budget: int,
    known: tuple[Behaviour, ...],
) -> Iterator[tuple[tuple[Behaviour, ...], Difference]]:
    """Yield the fewest behaviours, up to `budget`, with which the program gives the outputs."""
    for count in range(budget + 1):
        found = False
        tried = known if count < 2 else [behaviour for behaviour in known if behaviour.in_pairs]
        for chosen in combinations(tried, count):
            changed = _with(program, chosen)
            if changed is None:
                continue
            expected = run(changed, measure.inputs).outputs
            if expected.shape != outputs.shape:
                continue
            rounds = bool(changed.rounded_states)
            theirs = without_strays(expected, outputs) if rounds else outputs
            remaining = measure.outputs(expected, theirs)
            if remaining.judged and not remaining.beyond:
                found = True
                yield chosen, remaining
        if found:
            return


def _with(program: Program, chosen: tuple[Behaviour, ...]) -> Program | None:
    """Return the program with all chosen behaviours, or None where one cannot occur."""
    changed: Program | None = program
    for behaviour in chosen:
        if changed is None:
            return None
        changed = behaviour.change(changed)
    return changed
