"""Shapley values of games whose values are known, and the honesty of the stated errors."""

from collections.abc import Callable, Sequence
from itertools import pairwise, permutations

import numpy as np
import pytest

from harness.core.errors import ConfigError
from harness.why.shapley import (
    DEFAULT_EVALUATIONS,
    MIN_PAIRS,
    Design,
    Estimate,
    Values,
    design,
    estimate,
    half_width,
    min_evaluations,
    shapley,
)

Array = np.ndarray


def members(mask: int) -> set[int]:
    return {i for i in range(mask.bit_length()) if mask >> i & 1}


def played(chosen: Design, value: Callable[[set[int]], float]) -> Values:
    """`value(members)` of each coalition as one measure over two equal replicas, `(1, 2)`."""
    return {m: np.full((1, 2), float(value(members(m)))) for m in chosen.coalitions}


def exact(players: int) -> Design:
    return design(players, 2**players, np.random.default_rng(0))


def values_of(players: int, value: Callable[[set[int]], float]) -> Array:
    return estimate(exact(players), played(exact(players), value)).mean[:, 0]


def test_additive_game_gives_each_player_its_own() -> None:
    worth = np.array([3.0, -1.0, 0.5, 0.0])
    found = values_of(4, lambda S: sum(worth[i] for i in S))
    np.testing.assert_allclose(found, worth, atol=1e-14)


def test_glove_game() -> None:
    """One left glove, two right ones; a pair is worth 1. Known: 4/6, 1/6, 1/6."""
    found = values_of(3, lambda S: float(0 in S and len(S) >= 2))
    np.testing.assert_allclose(found, [4 / 6, 1 / 6, 1 / 6], atol=1e-15)


def test_unanimity_game_is_shared_by_those_who_are_needed() -> None:
    found = values_of(5, lambda S: float({1, 2, 4} <= S))
    np.testing.assert_allclose(found, [0, 1 / 3, 1 / 3, 0, 1 / 3], atol=1e-15)


def test_voting_game_with_a_veto() -> None:
    """Weights 4, 2, 1, 1 and a quota of 5: player 0 is in every winning coalition. Counted by
    hand over the 24 orders: 18, 2, 2, 2."""
    weights = [4, 2, 1, 1]
    found = values_of(4, lambda S: float(sum(weights[i] for i in S) >= 5))
    np.testing.assert_allclose(found, np.array([18, 2, 2, 2]) / 24, atol=1e-15)


def random_game(players: int, seed: int, replicas: int = 1, spread: float = 0.0) -> Values:
    """Every coalition's value at random, with `spread` between replicas."""
    rng = np.random.default_rng(seed)
    shape = (2**players, 1, replicas)
    values = rng.normal(size=(2**players, 1, 1)) + spread * rng.normal(size=shape)
    return dict(enumerate(values))


@pytest.mark.parametrize("evaluations", [256, 110], ids=["exact", "sampled"])
def test_values_add_up_to_the_gap(evaluations: int) -> None:
    game = random_game(8, seed=1, replicas=3, spread=0.5)
    chosen = design(8, evaluations, np.random.default_rng(0))
    assert bool(chosen.orders) == (evaluations < 256)
    found = estimate(chosen, game).replicas.sum(axis=0)
    np.testing.assert_allclose(found, game[255] - game[0], atol=1e-12)


def test_exact_values_are_the_mean_over_all_orders() -> None:
    """Against the definition by orders, which shares no line with the one by coalitions."""
    game = random_game(5, seed=2)
    parts = [joining(order, game) for order in permutations(range(5))]
    np.testing.assert_allclose(shapley(5, game)[:, 0, 0], np.mean(parts, axis=0), atol=1e-13)


def joining(order: Sequence[int], game: Values) -> Array:
    """What each player adds when they join in `order`, in the game of the first replica."""
    added = np.zeros(len(order))
    path = np.cumsum([0, *(1 << i for i in order)]).tolist()
    for i, (before, after) in zip(order, pairwise(path), strict=True):
        added[i] = (game[after] - game[before])[0, 0]
    return added


def test_sampling_error_is_students_of_the_means_of_pairs() -> None:
    """For the player that is helped least by taking an order and its reverse together; the others'
    is at least as large. t(7; 0.975) = 2.364624, from any table."""
    game = random_game(8, seed=3, replicas=2)
    orders = [np.random.default_rng(seed).permutation(8).tolist() for seed in range(8)]
    found = estimate(Design(8, orders, []), game).sampling[:, 0]
    ways = np.array([[joining(way, game) for way in (o, o[::-1])] for o in orders])  # (8, 2, n)
    own = ways.mean(axis=1).var(axis=0, ddof=1)
    students = 2.364624 * np.sqrt(own / 8)
    least = np.argmax(own / ways.reshape(16, 8).var(axis=0, ddof=1))
    assert found[least] == pytest.approx(students[least], rel=1e-6)
    assert (found >= students * (1 - 1e-6)).all()


def test_a_game_without_players_has_no_values() -> None:
    assert shapley(0, {0: np.ones((3, 2))}).shape == (0, 3, 2)


def test_design_plays_what_is_promised() -> None:
    chosen = design(8, 120, np.random.default_rng(3))
    assert len(chosen.coalitions) == len(set(chosen.coalitions)) <= 120
    alone = {1 << i for i in range(8)}
    assert {0, 255} | alone | {255 ^ one for one in alone} <= set(chosen.coalitions)
    assert len(chosen.orders) >= MIN_PAIRS
    assert design(8, 120, np.random.default_rng(3)) == chosen
    drawn, coalitions = 2 * len(chosen.orders), len(chosen.coalitions)
    said = f"sampled: {drawn} permutations in antithetic pairs, {coalitions} coalitions of 256"
    assert chosen.method == said
    assert exact(8).method == "exact over 256 coalitions"


@pytest.mark.parametrize("players", range(6))
def test_small_games_are_played_whole(players: int) -> None:
    assert sorted(exact(players).coalitions) == list(range(2**players))


@pytest.mark.parametrize("players", [1, 2, 3, 4, 7, 8, 12])
def test_the_smallest_number_of_evaluations_suffices(players: int) -> None:
    least = min_evaluations(players)
    with pytest.raises(ConfigError, match=f"must be at least {least}, since {players} settings"):
        design(players, least - 1, np.random.default_rng(0))
    for seed in range(20):
        chosen = design(players, least, np.random.default_rng(seed))
        assert len(chosen.coalitions) <= least
        assert len(chosen.orders) >= MIN_PAIRS or len(chosen.coalitions) == 2**players
        full, alone = 2**players - 1, {1 << i for i in range(players)}
        assert {0, full} | alone | {full - one for one in alone} <= set(chosen.coalitions)
    assert least <= 2**players


def test_what_is_played_by_default_grows_with_the_players() -> None:
    sizes = [len(design(n, None, np.random.default_rng(0)).coalitions) for n in range(1, 21)]
    assert sizes[:7] == [2**n for n in range(1, 8)]
    assert max(sizes[7:9]) <= DEFAULT_EVALUATIONS < sizes[-1] <= min_evaluations(20)
    assert len(design(20, None, np.random.default_rng(0)).orders) >= MIN_PAIRS


def worlds(value: Callable[[int], tuple[Values, Array]], players: int, budget: int | None) -> Array:
    """Whether the interval of each player's part holds the truth, `(200, n)`: in each world another
    game, from `value(seed)` with its true parts, and other orders."""
    inside = []
    for seed in range(200):
        game, truth = value(seed)
        found = estimate(design(players, budget, np.random.default_rng(seed)), game)
        assert not found.seeds.any()  # the replicas are equal
        inside.append(np.abs(found.mean[:, 0] - truth) <= found.sampling[:, 0] + 1e-12)
    return np.array(inside)


@pytest.mark.slow
@pytest.mark.parametrize("players", [8, 9])
def test_intervals_of_the_smallest_number_of_evaluations_cover(players: int) -> None:
    """From two pairs, each player's own variance alone, it was 0.81 to 0.83."""

    def value(seed: int) -> tuple[Values, Array]:
        game = random_game(players, seed, replicas=2)
        return game, shapley(players, game).mean(axis=-1)[:, 0]

    found = worlds(value, players, min_evaluations(players)).mean(axis=0)
    assert found.min() >= 0.94


class Products(dict[int, Array]):
    """The game `Σ c_S` over the sets S that are whole in a coalition; played when it is asked for.
    Its Shapley values are known: each member of S has its equal share of c_S."""

    def __init__(self, terms: list[tuple[set[int], float]]) -> None:
        self.terms = [(sum(1 << i for i in S), c) for S, c in terms]

    def __missing__(self, mask: int) -> Array:
        return np.full((1, 2), sum(c for S, c in self.terms if S & mask == S))

    @staticmethod
    def shares(terms: list[tuple[set[int], float]], players: int) -> Array:
        return np.array([sum(c / len(S) for S, c in terms if i in S) for i in range(players)])


@pytest.mark.slow
@pytest.mark.parametrize("strong", [20, 6], ids=["all", "a few"])
@pytest.mark.parametrize("players", [12, 20])
def test_intervals_of_many_players_cover_by_default(players: int, strong: int) -> None:
    """Each player alone, and sets of two to five: among all players, or of large worth among the
    first few and small worth among all. With 128 evaluations for 20 players it was 0.73."""

    def value(seed: int) -> tuple[Values, Array]:
        rng = np.random.default_rng(seed)
        terms: list[tuple[set[int], float]] = [({i}, rng.normal()) for i in range(players)]
        for among, worth in ((min(strong, players), 1.0), (players, 0.05)):
            for _ in range(players):
                chosen = rng.choice(among, rng.integers(2, 6), replace=False).tolist()
                terms.append((set(chosen), worth * rng.normal()))
        return Products(terms), Products.shares(terms, players)

    found = worlds(value, players, None)
    assert found.mean() >= 0.95
    assert found[:, :strong].mean() >= 0.94


def test_a_player_that_was_never_in_between_is_not_sure() -> None:
    """Three players of eight add 1 together. Whoever is never between the others in an order adds
    1/2 in every pair, and 1/3 in truth."""
    three = Products([({0, 1, 2}, 1.0)])
    orders = [[0, 1, 2, *range(3, 8)], [0, 2, 1, *range(3, 8)]] * 4
    found = estimate(Design(8, orders, []), three)
    assert found.mean[0] == 0.5
    assert found.sampling[0] > 1 / 2 - 1 / 3
    assert not found.sampling[3:].any()


def test_players_that_add_the_same_in_any_order_are_sure() -> None:
    worth = np.arange(8.0) - 3
    chosen = design(8, 120, np.random.default_rng(0))
    assert chosen.orders
    found = estimate(chosen, played(chosen, lambda S: sum(worth[i] for i in S)))
    np.testing.assert_array_equal(found.mean[:, 0], worth)
    assert not found.half.any()


def test_a_player_that_adds_next_to_nothing_stays_sure_of_it() -> None:
    terms = [({0, 1, 2, 3}, 1.0), ({2, 3, 4}, -1.0), ({5, 6, 7}, 1e-6)]
    found = estimate(design(8, None, np.random.default_rng(0)), Products(terms))
    assert found.sampling[:5].min() > 0.01
    assert 0 < found.sampling[5:].max() < 1e-6


def test_sampled_values_are_not_biased() -> None:
    game = random_game(8, seed=4, replicas=2)
    truth = shapley(8, game).mean(axis=-1)[:, 0]
    errors = [
        estimate(design(8, None, np.random.default_rng(seed)), game).mean[:, 0] - truth
        for seed in range(200)
    ]
    assert np.abs(np.mean(errors, axis=0)).max() < 4 * np.std(errors) / np.sqrt(200)


def test_more_orders_leave_less_error() -> None:
    game = random_game(8, seed=5, replicas=2)
    halves = [
        estimate(design(8, n, np.random.default_rng(0)), game).sampling.mean()
        for n in (100, 150, 240)
    ]
    assert halves[0] > halves[1] > halves[2]


def test_antithetic_pairs_cancel_what_is_linear_in_the_place() -> None:
    """With v = |S|², player i's marginal is 2·place + 1: in a pair the mean is n, always."""
    chosen = design(8, 120, np.random.default_rng(0))
    found = estimate(chosen, played(chosen, lambda S: len(S) ** 2))
    assert chosen.orders
    np.testing.assert_allclose(found.mean[:, 0], 8.0)
    assert not found.half.any()


@pytest.mark.slow
@pytest.mark.parametrize("evaluations", [256, 98], ids=["exact", "sampled"])
def test_intervals_cover_the_truth_in_a_noisy_game(evaluations: int) -> None:
    """Replicas whose games are noisy copies of one: over 200 worlds the interval of the combined
    error must hold the true value in about 95 % of the cases."""
    base = random_game(8, seed=6)
    truth, rng, inside = shapley(8, base)[:, 0, 0], np.random.default_rng(7), []
    for world in range(200):
        noisy = {m: v + 0.7 * rng.normal(size=(1, 8)) for m, v in base.items()}
        found = estimate(design(8, evaluations, np.random.default_rng(world)), noisy)
        inside.append(np.abs(found.mean[:, 0] - truth) <= found.half[:, 0])
    assert 0.93 <= np.mean(inside) <= (0.985 if evaluations == 256 else 1.0)


def test_both_errors_add_in_quadrature() -> None:
    found = Estimate(np.zeros((1, 2)), np.array([3.0]), np.array([4.0]))
    assert found.half == [5.0]


def test_half_width_is_students() -> None:
    """t(3; 0.975) = 3.182446, from any table."""
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert half_width(values) == pytest.approx(3.182446 * values.std(ddof=1) / 2, rel=1e-6)
    assert half_width(np.ones((3, 1))).tolist() == [np.inf] * 3
    rows = half_width(np.array([values, 10 * values]))
    np.testing.assert_allclose(rows, [2.054260, 20.54260], rtol=1e-6)
