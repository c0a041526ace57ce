"""Shapley values of a game: what each player adds, averaged over every order in which players join.

    φ_i = Σ_{S ∌ i} |S|! (n − |S| − 1)! / n! · (v(S ∪ {i}) − v(S))        (Shapley 1953)

They are the only shares that add up to v(N) − v(∅), are equal for players that do the same, are 0
for a player that does nothing, and add up over games. Here a player is a setting and v is a loss.

A coalition is a bit mask: bit i is set when player i is in it. `Values` maps it to an array
`(…, R)`, one value per replica. With few players all 2ⁿ coalitions are played. With many, orders
are drawn at random in antithetic pairs, an order and its reverse, as in
Mitchell et al. 2022 ("Sampling permutations for Shapley value estimation", JMLR 23): who joins
early in one joins late in the other, so much of what depends on the place cancels. What a player
does in rare coalitions alone can escape such a sample, and then is missing in the stated error too.
A minimum of pairs is played, and no player is surer than its orders allow; how often the intervals
then hold the truth is counted in `tests/why/test_shapley.py`.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

from harness.core.errors import ConfigError

Array = np.ndarray
Values = dict[int, Array]

PAIRS = 8  # of orders at least: an interval from fewer was seen to hold the truth too rarely
USUAL = 128  # coalitions; about a minute on two cores for the default network and 16 seeds


@dataclass(frozen=True)
class Design:
    """Which coalitions are played. No `orders` means all of them."""

    players: int
    orders: list[list[int]]  # one of each pair
    coalitions: list[int]  # the empty and the full one first

    @property
    def method(self) -> str:
        """In words: `exact over 1,024 coalitions`."""
        played = f"{len(self.coalitions):,} coalitions"
        if not self.orders:
            return f"exact over {played}"
        drawn = f"{2 * len(self.orders)} permutations in antithetic pairs, {played}"
        return f"sampled: {drawn} of {2**self.players:,}"


@dataclass(frozen=True)
class Estimate:
    """Shapley values and the half widths of their 95 % intervals, by source of the error."""

    replicas: Array  # (n, …, R), of each replica's own game
    seeds: Array  # (n, …): half width from the finite number of replicas
    sampling: Array  # (n, …): from the finite number of orders; zeros when exact

    @property
    def mean(self) -> Array:
        return self.replicas.mean(axis=-1)

    @property
    def half(self) -> Array:
        """Both errors in quadrature."""
        return np.hypot(self.seeds, self.sampling)


def smallest(players: int) -> int:
    """The fewest coalitions that are played: those of `PAIRS` pairs of orders, or all of them where
    that would spare less than half."""
    pair = 2 * max(players - 3, 0)  # coalitions of a pair that are not always played
    sampled = 2 + 2 * players + PAIRS * pair
    return 2**players if 2**players <= 2 * sampled else sampled


def design(players: int, evaluations: int | None, rng: np.random.Generator) -> Design:
    """All coalitions if there are at most `evaluations`, or else as many pairs of orders as that
    allows. Coalitions of one player, and of all but one, are always played. None allows `USUAL`, or
    with many players the smallest number.

    Raises `ConfigError` for fewer than the smallest number.
    """
    least, full = smallest(players), 2**players - 1
    allowed = max(USUAL, least) if evaluations is None else evaluations
    if full < allowed:
        return Design(players, [], list(dict.fromkeys([0, full, *range(full)])))
    if allowed < least:
        raise ConfigError(
            f"--evaluations {allowed}: must be at least {least}, since {players} settings differ "
            "and act."
        )
    alone = [1 << i for i in range(players)]
    played = dict.fromkeys([0, full, *alone, *(full ^ one for one in alone)])
    orders: list[list[int]] = []
    while True:
        order = rng.permutation(players).tolist()
        more = played | dict.fromkeys([*_path(order), *_path(order[::-1])])
        if len(more) > allowed:
            return Design(players, orders, list(played))
        played, orders = more, [*orders, order]


def _path(order: list[int]) -> list[int]:
    """The coalitions as players join in `order`, from the empty one to the full one."""
    return np.cumsum([0, *(1 << i for i in order)]).tolist()


def estimate(design: Design, values: Values) -> Estimate:
    """Shapley values from the values `(…, R)` of the design's coalitions."""
    if not design.orders:
        exact = shapley(design.players, values)
        return Estimate(exact, half_width(exact), np.zeros(exact.shape[:-1]))
    added = np.stack([_added(order, values) for order in design.orders])  # (P, 2, n, …, R)
    replicas = added.mean(axis=(0, 1))
    sampling = _interval(_variance(added.mean(axis=-1)), len(design.orders))
    return Estimate(replicas, half_width(replicas), sampling)


def _variance(added: Array) -> Array:
    """Of a pair's mean: `(P, 2, n, …)`, what each player adds in either order, -> `(n, …)`.

    The variance of the few means there are is often too small, and 0 for a player that by chance
    stood first or last of those it interplays with in every pair. So it counts as at least the
    share of the variance of single orders that pairs leave, which is taken over all players.
    """
    own = added.mean(axis=1).var(axis=0, ddof=1)
    single = added.reshape(-1, *added.shape[2:]).var(axis=0, ddof=1)
    total = single.sum(axis=0)
    left = np.divide(own.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    return np.maximum(own, left * single)


def shapley(players: int, values: Values) -> Array:
    """Exact values `(n, …, R)` from all coalitions."""
    result = np.zeros((players, *np.shape(values[0])))
    for i in range(players):
        for S in range(2**players):
            if not S >> i & 1:
                weight = 1 / (players * comb(players - 1, S.bit_count()))
                result[i] += weight * (values[S | 1 << i] - values[S])
    return result


def _added(order: list[int], values: Values) -> Array:
    """What each player adds as they join in `order`, and in its reverse: `(2, n, …, R)`."""
    result = np.zeros((2, len(order), *np.shape(values[0])))
    for row, way in zip(result, (order, order[::-1]), strict=True):
        path = _path(way)
        for i, before, after in zip(way, path, path[1:], strict=False):
            row[i] = values[after] - values[before]
    return result


def half_width(values: Array) -> Array:
    """Half the 95 % interval of the mean over the last axis, by Student's t: `(…, R)` -> `(…)`."""
    count = values.shape[-1]
    if count < 2:
        return np.full(values.shape[:-1], np.inf)
    return _interval(values.var(axis=-1, ddof=1), count)


def _interval(variance: Array, count: int) -> Array:
    """The same from the variance of `count` values."""
    from scipy.special import stdtrit  # 0.1 s to import

    return stdtrit(count - 1, 0.975) * np.sqrt(variance / count)
