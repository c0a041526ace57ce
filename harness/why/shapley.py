"""Shapley values of a game: each player's contribution, averaged over all orders of joining.

    φ_i = Σ_{S ∌ i} |S|! (n − |S| − 1)! / n! · (v(S ∪ {i}) − v(S))        (Shapley 1953)

They are the only shares that add up to v(N) − v(∅), are equal for players that contribute the same
to every coalition, are 0 for a player that contributes nothing, and add up over games. Here a
player is a setting and v is a loss.

A coalition is a bit mask: bit i is set when player i is in it. `Values` maps it to an array
`(…, R)`, one value per replica. With few players all 2ⁿ coalitions are played. With many, orders
are drawn at random in antithetic pairs, an order and its reverse, as in
Mitchell et al. 2022 ("Sampling permutations for Shapley value estimation", JMLR 23): a player that
joins early in one joins late in the other, so much of the effect of the position cancels. A
contribution to rare coalitions alone can escape such a sample, and is then missing in the stated
error, too.
A minimum of pairs is played, and no player is surer than its orders allow; how often the intervals
then hold the truth is counted in `tests/why/test_shapley.py`.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

from harness.core.arrays import Array
from harness.core.errors import ConfigError

Values = dict[int, Array]

MIN_PAIRS = 8  # of orders; intervals from fewer were seen to contain the true value too rarely
# Coalitions; about a minute on two cores for the default network and 16 seeds.
DEFAULT_EVALUATIONS = 128


@dataclass(frozen=True)
class Design:
    """The coalitions that are played. Without `orders`, these are all."""

    players: int
    orders: list[list[int]]  # one of each antithetic pair
    coalitions: list[int]  # the empty and the full one first

    @property
    def method(self) -> str:
        """The design in words: `exact over 1,024 coalitions`."""
        played = f"{len(self.coalitions):,} coalitions"
        if not self.orders:
            return f"exact over {played}"
        drawn = f"{2 * len(self.orders)} permutations in antithetic pairs, {played}"
        return f"sampled: {drawn} of {2**self.players:,}"


@dataclass(frozen=True)
class Estimate:
    """Shapley values and the half widths of their 95 % intervals, by source of the error."""

    replicas: Array  # (n, …, R), of the game of each replica
    seeds: Array  # (n, …): half width from the finite number of replicas
    sampling: Array  # (n, …): half width from the finite number of orders; 0 if exact

    @property
    def mean(self) -> Array:
        """The Shapley values `(n, …)`, averaged over replicas."""
        return self.replicas.mean(axis=-1)

    @property
    def half(self) -> Array:
        """The half width `(n, …)` of the interval: both errors in quadrature."""
        return np.hypot(self.seeds, self.sampling)


def min_evaluations(players: int) -> int:
    """Return the least number of coalitions that are played.

    These are those of `MIN_PAIRS` pairs of orders, or all coalitions where fewer would save less
    than half.
    """
    pair = 2 * max(players - 3, 0)  # coalitions of a pair that are not played anyway
    sampled = 2 + 2 * players + MIN_PAIRS * pair
    return 2**players if 2**players <= 2 * sampled else sampled


def design(players: int, evaluations: int | None, rng: np.random.Generator) -> Design:
    """Choose all coalitions if there are at most `evaluations`, or else random pairs of orders.

    There are as many pairs as `evaluations` allows. Coalitions of one player, and of all but one,
    are always played. None allows `DEFAULT_EVALUATIONS`, or `min_evaluations` if that is more.
    Raises `ConfigError` for fewer than `min_evaluations`.
    """
    least, full = min_evaluations(players), 2**players - 1
    allowed = max(DEFAULT_EVALUATIONS, least) if evaluations is None else evaluations
    if full < allowed:
        return Design(players, [], list(dict.fromkeys([0, full, *range(full)])))
    if allowed < least:
        raise ConfigError(
            f"--evaluations {allowed}: must be at least {least}, since {players} settings differ "
            "and act."
        )
    single = [1 << i for i in range(players)]
    played = dict.fromkeys([0, full, *single, *(full ^ player for player in single)])
    orders: list[list[int]] = []
    while True:
        order = rng.permutation(players).tolist()
        more = played | dict.fromkeys([*_path(order), *_path(order[::-1])])
        if len(more) > allowed:
            return Design(players, orders, list(played))
        played, orders = more, [*orders, order]


def _path(order: list[int]) -> list[int]:
    """Return the coalitions as players join in `order`, from the empty one to the full one."""
    return np.cumsum([0, *(1 << i for i in order)]).tolist()


def estimate(design: Design, values: Values) -> Estimate:
    """Estimate Shapley values from the values `(…, R)` of the design's coalitions."""
    if not design.orders:
        exact = shapley(design.players, values)
        return Estimate(exact, half_width(exact), np.zeros(exact.shape[:-1]))
    added = np.stack([_added(order, values) for order in design.orders])  # (P, 2, n, …, R)
    replicas = added.mean(axis=(0, 1))
    sampling = _interval(_variance(added.mean(axis=-1)), len(design.orders))
    return Estimate(replicas, half_width(replicas), sampling)


def _variance(added: Array) -> Array:
    """Estimate the variance of a pair's mean: contributions `(P, 2, n, …)` -> `(n, …)`.

    The variance of the few means is often too small, and 0 for a player that by chance was first or
    last among those it interacts with in every pair. So it is at least the variance of single
    orders times the fraction of it that pairs leave, which is taken over all players.
    """
    of_means = added.mean(axis=1).var(axis=0, ddof=1)
    of_orders = added.reshape(-1, *added.shape[2:]).var(axis=0, ddof=1)
    total = of_orders.sum(axis=0)
    fraction = np.divide(of_means.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    return np.maximum(of_means, fraction * of_orders)


def shapley(players: int, values: Values) -> Array:
    """Return exact Shapley values `(n, …, R)` from the values of all coalitions."""
    result = np.zeros((players, *np.shape(values[0])))
    for i in range(players):
        for S in range(2**players):
            if not S >> i & 1:
                weight = 1 / (players * comb(players - 1, S.bit_count()))
                result[i] += weight * (values[S | 1 << i] - values[S])
    return result


def _added(order: list[int], values: Values) -> Array:
    """Return each player's contribution in `order`, and in its reverse: `(2, n, …, R)`."""
    result = np.zeros((2, len(order), *np.shape(values[0])))
    for row, joining in zip(result, (order, order[::-1]), strict=True):
        path = _path(joining)
        for i, before, after in zip(joining, path, path[1:], strict=False):
            row[i] = values[after] - values[before]
    return result


def half_width(values: Array) -> Array:
    """Return half the 95 % interval of the mean over the last axis: `(…, R)` -> `(…)`.

    It is by Student's t, and infinite for a single value.
    """
    count = values.shape[-1]
    if count < 2:
        return np.full(values.shape[:-1], np.inf)
    return _interval(values.var(axis=-1, ddof=1), count)


def _interval(variance: Array, count: int) -> Array:
    """Return half the 95 % interval of the mean of `count` values with this variance."""
    from scipy.special import stdtrit  # 0.1 s to import

    return stdtrit(count - 1, 0.975) * np.sqrt(variance / count)
