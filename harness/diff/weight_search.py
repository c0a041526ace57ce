"""Find the mistakes, one or two, that turn A's weights into B's, tensor by tensor.

Each tensor that differs gets the sets of mistakes that explain it; a set that explains all of them
is an answer. Sets of two are tried only where no single mistake explains all.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, permutations

from harness.core.arrays import Array
from harness.core.gates import layer_of
from harness.core.model import ModelSpec, Params
from harness.diff.fresh import uncopied
from harness.diff.mistakes import Mistake, mistakes
from harness.diff.orders import in_order, orders
from harness.diff.tensors import acting, close, kind_of

Set = frozenset[Mistake]
ALL_LAYER_ORDERS = 4  # layers; of more, only two that changed places, and all in reverse


@dataclass(frozen=True)
class Explained:
    """Mistakes that turn A's weights into B's, and the tensors in which each was made."""

    mistakes: dict[Mistake, list[str]]


@dataclass(frozen=True)
class WeightSearch:
    """The tensors of A as stored and of B as they act, and what is needed to compare them."""

    a: Params
    b: Params
    model: ModelSpec
    precision: str
    drawn: bool = True  # whether a tensor of B may be as an initialiser drew it

    def answers(self) -> list[Explained]:
        """Return the smallest sets of mistakes that explain all weights; an empty one if equal."""
        differing = self.differing()
        if not differing:
            return [Explained({})]
        for most in (1, 2):
            found = self.covering(differing, most, most) + self._layers(most)
            if found:
                return found
        return []

    def differing(self) -> list[str]:
        """Return the names of the tensors that differ by more than rounding."""
        return [
            n for n, a in self.a.items() if not close(self._acting(n, a), self.b[n], self.precision)
        ]

    def _acting(self, name: str, tensor: Array) -> Array:
        return acting(name, tensor, self.model)

    def covering(self, differing: list[str], most: int, depth: int) -> list[Explained]:
        """Return the smallest sets of at most `most` mistakes that explain each tensor.

        A tensor is explained by `depth` mistakes, at most.
        """
        options: dict[str, list[Set]] = {}
        for name in differing:
            options[name] = list(dict.fromkeys(self._sets(name, depth)))
            if not options[name]:
                return []
        known = list(dict.fromkeys(m for sets in options.values() for each in sets for m in each))
        for size in range(1, most + 1):
            found = [
                _explained(chosen, options)
                for chosen in combinations(known, size)
                if all(any(s <= set(chosen) for s in sets) for sets in options.values())
            ]
            if found:
                return found
        return []

    def _sets(self, name: str, depth: int) -> Iterator[Set]:
        """Yield the sets of mistakes that turn A's tensor into B's."""
        a, b = self.a[name], self.b[name]
        for order in self._orders(name, a, b):
            yield self._with_order(order)
        fresh = uncopied(name, self._acting(name, a), b, self.model) if self.drawn else None
        if fresh is not None:
            yield frozenset([fresh])
        usable = [m for m in mistakes(self.model, self.precision) if kind_of(name) in m.kinds]
        for mistake in usable:
            yield from self._one(name, mistake, a, b, depth)
        if depth > 1:
            for first, second in permutations(usable, 2):
                yield from self._both(name, first, second)

    def _one(self, name: str, mistake: Mistake, a: Array, b: Array, depth: int) -> Iterator[Set]:
        """Yield a mistake alone and, in depth, with gates in another order before or after it."""
        assert mistake.change is not None
        changed = mistake.change(a, self.model)
        if changed is None:
            return
        for order in self._orders(name, changed, b):
            found = self._with_order(order) | {mistake}
            if len(found) <= depth:
                yield found
        undone = mistake.undo(b, self.model) if depth > 1 and mistake.undo else None
        if undone is not None:
            for order in self._orders(name, a, undone):
                yield self._with_order(order) | {mistake}

    def _both(self, name: str, first: Mistake, second: Mistake) -> Iterator[Set]:
        assert first.change is not None
        assert second.change is not None
        changed = first.change(self.a[name], self.model)
        changed = None if changed is None else second.change(changed, self.model)
        if changed is not None and close(self._acting(name, changed), self.b[name], self.precision):
            yield frozenset([first, second])

    def _orders(self, name: str, a: Array, b: Array) -> list[tuple[int, ...]]:
        return orders(name, a, b, self.model, self.precision)

    def _with_order(self, order: tuple[int, ...]) -> Set:
        return (
            frozenset()
            if order == tuple(sorted(order))
            else frozenset([in_order(self.model, order)])
        )

    def _layers(self, most: int) -> list[Explained]:
        """Return the explanations with the layers in another order, one of `most` mistakes."""
        found = []
        for order in _layer_orders(self.model.layers):
            a = {_moved(name, order): value for name, value in self.a.items()}
            if any(a[name].shape != self.a[name].shape for name in a):
                continue
            moved = replace(self, a={n: a[n] for n in self.a})
            differing = moved.differing()
            names = [f"rnn.{n}" for n, layer in enumerate(order) if n != layer]
            rest = moved.covering(differing, most - 1, 1) if differing and most > 1 else []
            for each in rest if differing else [Explained({})]:
                found.append(Explained({in_layers(order): names, **each.mistakes}))
        return found


def in_layers(order: tuple[int, ...]) -> Mistake:
    """Return the mistake of layers that changed places: layer n of B is layer `order[n]` of A."""
    listed = ", ".join(map(str, order))
    return Mistake(f"its layers in the order {listed}", f"reorder layers {listed} to 0, 1, …")


def _layer_orders(layers: int) -> list[tuple[int, ...]]:
    plain = tuple(range(layers))
    if layers <= ALL_LAYER_ORDERS:
        return [order for order in permutations(plain) if order != plain]
    swaps = []
    for i, j in combinations(plain, 2):
        order = list(plain)
        order[i], order[j] = j, i
        swaps.append(tuple(order))
    return [plain[::-1], *swaps]


def _moved(name: str, order: tuple[int, ...]) -> str:
    """Return the name of the tensor of B into which A's tensor `name` goes."""
    layer = layer_of(name)
    if layer is None:
        return name
    return f"rnn.{order.index(layer)}.{name.rpartition('.')[2]}"


def _explained(chosen: tuple[Mistake, ...], options: dict[str, list[Set]]) -> Explained:
    """Return the tensors in which each of the chosen mistakes explains a difference."""
    tensors: dict[Mistake, list[str]] = {mistake: [] for mistake in chosen}
    for name, sets in options.items():
        used = min((s for s in sets if s <= set(chosen)), key=len)
        for mistake in used:
            tensors[mistake].append(name)
    return Explained(tensors)
