"""Plant every known mistake, alone and in pairs, and count how many `harness diff` names.

python -m tests.diff.planted     # the table of docs/porting.md, in two minutes
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

import ml_dtypes
import numpy as np

from harness.core.arrays import Array
from harness.diff.comparison import Comparison
from harness.diff.inputs import Inputs
from harness.diff.search import Answer
from harness.diff.sentences import sentence
from harness.formats.trained_network import Network
from tests.diff import own_program
from tests.diff.networks import CELLS, network
from tests.diff.own_program import OwnProgram
from tests.diff.plants import Plant, edited, plants, shuffle_units

T = 12


@dataclass(frozen=True)
class Tried:
    """A planted mistake, or two, and what was found."""

    cell: str
    group: str
    said: list[str]  # of each mistake, part of the sentence that names it
    answers: list[Answer]

    @property
    def named(self) -> bool:
        """Whether an answer names exactly what was planted."""
        return any(
            answer.count == len(self.said) and all(part in sentence(answer) for part in self.said)
            for answer in self.answers
        )


def inputs() -> Inputs:
    x = np.random.default_rng(5).normal(size=(T, T, 8)).astype(np.float32).astype(np.float64)
    return Inputs(x, np.ones((T, T), bool))  # as many sequences as steps, for axes to be swapped


def singles(cell: str) -> Iterator[Tried]:
    a = network(cell)
    for plant in plants(a):
        yield tried(cell, plant.group, [plant.said], a, plant.make(a))


def tried(cell: str, group: str, said: list[str], a: Network, b: Network) -> Tried:
    return Tried(cell, group, said, Comparison(a=a, b=b, inputs=inputs()).answers())


def of_each_group(a: Network) -> list[Plant]:
    """One plant of each group."""
    last = {plant.group: plant for plant in plants(a)}
    return [plant for group, plant in last.items() if "alone" not in group]


def pairs(cell: str, part: int = 1) -> Iterator[Tried]:
    """Two different mistakes, one made after the other; every `part`-th pair.

    Layers change places first, so that a tensor is named as it is in B.
    """
    a = network(cell)
    alone = [a, *(plant.make(a) for plant in plants(a))]
    for pair in list(combinations(of_each_group(a), 2))[::part]:
        first, second = sorted(pair, key=lambda plant: "layers" not in plant.group)
        b = second.make(first.make(a))
        comes_to_one = any(alike(b, one) for one in alone)  # such as a bias doubled, then dropped
        if first.said != second.said and not comes_to_one:
            yield tried(cell, "two of these", [first.said, second.said], a, b)


def alike(one: Network, other: Network) -> bool:
    """Whether two networks are the same in all that acts."""
    settings = [(n.model, n.y_mean, *n.x_mean, *n.x_std) for n in (one, other)]
    return settings[0] == settings[1] and all(
        np.allclose(mine, theirs, rtol=0, atol=1e-6)
        for mine, theirs in zip(_acting(one), _acting(other), strict=True)
    )


def _acting(network: Network) -> Iterator[Array]:
    """Kernels and the sums of biases; of a GRU that resets after the product, each part."""
    model = network.model
    for W, U, b in network.layers:
        apart = model.cell == "gru" and model.reset == "after"
        together = b[:, : 2 * model.units] if apart else b
        yield from (W, U, together.sum(axis=0), b[:, 2 * model.units :] if apart else b[:0])
    yield from (network.weights["head.kernel"], network.weights["head.bias"])


def computed(cell: str) -> Iterator[Tried]:
    """Mistakes in computing, which only the outputs of B's own program show."""
    a, given = network(cell), inputs()
    for group, said, outputs in _programs(a, given.x):
        compared = Comparison(a=a, b=a, inputs=given, given=outputs.astype(np.float64))
        yield Tried(cell, f"computing: {group}", [said], compared.answers())
    shorter = Inputs(given.x, np.arange(T) < np.arange(1, T + 1)[::-1, None])
    for where in ("front", "behind"):
        outputs = _padded(a, shorter, where).astype(np.float64)
        compared = Comparison(a=a, b=a, inputs=shorter, given=outputs)
        words = {"front": "in front of", "behind": "behind"}[where]
        said = f"with zeros {words} each sequence taken for steps"
        yield Tried(cell, f"computing: padding {words} sequences", [said], compared.answers())


def shuffled(cell: str) -> Iterator[Tried]:
    """Units in another order, alone and with a mistake that is not in the order of the layers."""
    a, given = network(cell), inputs()
    shuffle = edited(shuffle_units)
    alone = Comparison(a=a, b=shuffle(a), inputs=given)
    reordered, layers = alone.in_units_of_a
    answers = reordered.answers() if alone.same and layers == [0, 1] else []
    yield Tried(cell, "units in another order", [], answers)
    for plant in of_each_group(a):
        if "layers" in plant.group:
            continue
        compared = Comparison(a=a, b=shuffle(plant.make(a)), inputs=given)
        assert compared.answers() == compared.reversed_answers() == []
        reordered, layers = compared.in_units_of_a
        answers = reordered.answers() if layers == [0, 1] else []
        yield Tried(cell, "units in another order, and one of these", [plant.said], answers)


def mixed(cell: str, part: int = 1) -> Iterator[Tried]:
    """A mistake in copying, and a program with hard sigmoids and the axes swapped."""
    a, given = network(cell), inputs()
    x = given.x.swapaxes(0, 1)
    said = ["with the axes of sequences and time steps swapped"]
    simple = cell == "rnn"
    program = OwnProgram(network=a)
    program = replace(program, **{"activation" if simple else "gate": own_program.hard})
    words = "as its activation" if simple else "in its gates"
    both = program.outputs(x)
    compared = Comparison(a=a, b=a, inputs=given, given=both.astype(np.float64))
    yield Tried(cell, "two in computing", [*said, f"hard_sigmoid {words}"], compared.answers())
    for plant in of_each_group(a)[::part]:
        b = plant.make(a)
        if b.weights is not a.weights:
            outputs = OwnProgram(network=b).outputs(x).astype(np.float64)
            compared = Comparison(a=a, b=b, inputs=given, given=outputs)
            yield Tried(cell, "copying and computing", [plant.said, *said], compared.answers())


def _programs(a: Network, x: Array) -> Iterator[tuple[str, str, Array]]:
    """The outputs of programs that compute wrongly, with a group and what has to be said."""
    simple = a.model.cell == "rnn"
    functions = {"relu": own_program.relu, "sigmoid": own_program.logistic}
    hard = {"hard_sigmoid": own_program.hard, "hard_sigmoid_keras2": own_program.hard_keras2}
    for name, function in (functions | hard).items():
        program = OwnProgram(network=a, activation=function)
        yield "another activation", f"with {name} as its activation", program.outputs(x)
    for name, function in ({} if simple else hard | {"relu": own_program.relu}).items():
        program = OwnProgram(network=a, gate=function)
        yield "another function in gates", f"with {name} in its gates", program.outputs(x)
    right = OwnProgram(network=a)
    said = "with the axes of sequences and time steps swapped"
    yield "axes swapped", said, right.outputs(x.swapaxes(0, 1))
    for dtype in (np.float16, ml_dtypes.bfloat16):
        name = np.dtype(dtype).name
        rounded = right.outputs(x.astype(dtype).astype(np.float64))
        yield "inputs rounded", f"inputs rounded to {name}", rounded
        yield "outputs rounded", f"outputs rounded to {name}", right.outputs(x).astype(dtype)
        stored = replace(right, stored=dtype).outputs(x)
        yield "states rounded", f"states rounded to {name} at each step", stored
    if a.model.cell == "gru":
        other = {"after": "before", "before": "after"}[a.model.reset]
        said = "on the other side of the recurrent product"
        yield "reset gate", said, OwnProgram(network=a, reset=other).outputs(x)
    zeros = np.zeros((len(x), 3, x.shape[2]))
    for words, joined in (("in front of", (zeros, x)), ("behind", (x, zeros))):
        said = f"with zeros {words} each sequence, 3 of them,"
        yield f"3 zeros {words} sequences", said, right.outputs(np.concatenate(joined, axis=1))


def _padded(a: Network, given: Inputs, where: str) -> Array:
    padded = np.zeros_like(given.x)
    for n, length in enumerate(given.mask.sum(axis=1)):
        at = slice(T - length, T) if where == "front" else slice(0, length)
        padded[n, at] = given.x[n, :length]
    return OwnProgram(network=a).outputs(padded)


def table(results: list[Tried]) -> str:
    """The results as a Markdown table: named of planted, and those with other answers beside."""
    planted, named, others = Counter(), Counter(), Counter()
    groups = dict.fromkeys(each.group for each in results)
    for each in results:
        key = each.group, each.cell
        planted[key] += 1
        named[key] += each.named
        others[each.group] += each.named and len(each.answers) > 1
    lines = [
        f"| mistake | {' | '.join(CELLS)} | with another |",
        "|---|" + "--:|" * (len(CELLS) + 1),
    ]
    for group in groups:
        cells = [(named[group, cell], planted[group, cell]) for cell in CELLS]
        shown = [f"{n} of {of}" if of else "–" for n, of in cells]
        lines.append(f"| {group} | {' | '.join(shown)} | {others[group] or ''} |")
    total = f"| all | {' | '.join(_total(results, cell) for cell in CELLS)} |"
    return "\n".join([*lines, f"{total} {sum(others.values())} |"])


def _total(results: list[Tried], cell: str) -> str:
    own = [each for each in results if each.cell == cell]
    return f"{sum(each.named for each in own)} of {len(own)}"


def main() -> None:
    results = [
        each
        for kind in (singles, shuffled, computed, mixed, pairs)
        for cell in CELLS
        for each in kind(cell)
    ]
    print(table(results))
    for each in results:
        if not each.named:
            said = [sentence(answer) for answer in each.answers]
            print(f"not named: {each.cell}: {' + '.join(each.said)}: {said or 'no answer'}")


if __name__ == "__main__":
    main()
