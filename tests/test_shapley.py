"""Shapley values of games whose values are known, and the honesty of the stated errors."""

from collections.abc import Callable
from itertools import pairwise, permutations

import numpy as np
import pytest

from harness.errors import ConfigError
from harness.why.shapley import Design, Estimate, Values, design, estimate, half_width, shapley

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


@pytest.mark.parametrize("evaluations", [64, 40], ids=["exact", "sampled"])
def test_values_add_up_to_the_gap(evaluations: int) -> None:
    game = random_game(6, seed=1, replicas=3, spread=0.5)
    chosen = design(6, evaluations, np.random.default_rng(0))
    assert bool(chosen.orders) == (evaluations < 64)
    found = estimate(chosen, game).replicas.sum(axis=0)
    np.testing.assert_allclose(found, game[63] - game[0], atol=1e-12)


def test_exact_values_are_the_mean_over_all_orders() -> None:
    """Against the definition by orders, which shares no line with the one by coalitions."""
    game = random_game(5, seed=2)
    total, orders = np.zeros(5), list(permutations(range(5)))
    for order in orders:
        path = np.cumsum([0, *(1 << i for i in order)]).tolist()
        for i, (before, after) in zip(order, pairwise(path), strict=True):
            total[i] += (game[after] - game[before]).item()
    np.testing.assert_allclose(shapley(5, game)[:, 0, 0], total / len(orders), atol=1e-13)


def test_design_plays_what_is_promised() -> None:
    chosen = design(8, 120, np.random.default_rng(3))
    assert len(chosen.coalitions) == len(set(chosen.coalitions)) <= 120
    alone = {1 << i for i in range(8)}
    assert {0, 255} | alone | {255 ^ one for one in alone} <= set(chosen.coalitions)
    assert len(chosen.orders) >= 2
    assert design(8, 120, np.random.default_rng(3)) == chosen
    assert "permutations in antithetic pairs" in chosen.method
    assert exact(8).method == "exact over 256 coalitions"


@pytest.mark.parametrize("players", range(6))
def test_small_games_are_played_whole(players: int) -> None:
    assert sorted(exact(players).coalitions) == list(range(2**players))


@pytest.mark.parametrize("players", [1, 2, 3, 4, 7, 12])
def test_the_smallest_number_of_evaluations_suffices_for_two_pairs(players: int) -> None:
    with pytest.raises(ConfigError, match="must be at least") as error:
        design(players, 1, np.random.default_rng(0))
    smallest = int(str(error.value).split("at least ")[1].split(",")[0])
    for seed in range(20):
        chosen = design(players, smallest, np.random.default_rng(seed))
        assert len(chosen.coalitions) <= smallest
        assert not chosen.orders or len(chosen.orders) >= 2


def test_sampled_values_are_within_their_stated_error() -> None:
    """Of 95 % intervals, over 200 draws of orders and 7 players: a binomial count with dependence
    between players; t intervals over skewed pair means may miss somewhat more often."""
    game = random_game(7, seed=4, replicas=2)
    truth = shapley(7, game).mean(axis=-1)[:, 0]
    inside, errors = [], []
    for seed in range(200):
        found = estimate(design(7, 90, np.random.default_rng(seed)), game)
        assert not found.seeds.any()  # the replicas are equal
        inside.append(np.abs(found.mean[:, 0] - truth) <= found.sampling[:, 0])
        errors.append(found.mean[:, 0] - truth)
    assert 0.91 <= np.mean(inside) <= 0.985
    assert np.abs(np.mean(errors, axis=0)).max() < 4 * np.std(errors) / np.sqrt(200)  # no bias


def test_more_orders_leave_less_error() -> None:
    game = random_game(8, seed=5, replicas=2)
    halves = [
        estimate(design(8, n, np.random.default_rng(0)), game).sampling.mean()
        for n in (60, 120, 240)
    ]
    assert halves[0] > halves[1] > halves[2]


def test_antithetic_pairs_cancel_what_is_linear_in_the_place() -> None:
    """With v = |S|², player i's marginal is 2·place + 1: in a pair the mean is n, always."""
    chosen = design(6, 40, np.random.default_rng(0))
    found = estimate(chosen, played(chosen, lambda S: len(S) ** 2))
    assert chosen.orders
    np.testing.assert_allclose(found.mean[:, 0], 6.0)
    assert not found.half.any()


@pytest.mark.parametrize("evaluations", [32, 28], ids=["exact", "sampled"])
def test_intervals_cover_the_truth_in_a_noisy_game(evaluations: int) -> None:
    """Replicas whose games are noisy copies of one: over 400 worlds the interval of the combined
    error must hold the true value in about 95 % of the cases."""
    base = random_game(5, seed=6)
    truth, rng, inside = shapley(5, base)[:, 0, 0], np.random.default_rng(7), []
    for world in range(400):
        noisy = {m: v + 0.7 * rng.normal(size=(1, 8)) for m, v in base.items()}
        found = estimate(design(5, evaluations, np.random.default_rng(world)), noisy)
        inside.append(np.abs(found.mean[:, 0] - truth) <= found.half[:, 0])
    assert 0.93 <= np.mean(inside) <= 0.985


def test_both_errors_add_in_quadrature() -> None:
    found = Estimate(np.zeros((1, 2)), np.array([3.0]), np.array([4.0]))
    assert found.half == [5.0]


def test_half_width_is_students() -> None:
    """t(3; 0.975) = 3.182446, from any table."""
    values = np.array([1.0, 2.0, 3.0, 4.0])
    assert half_width(values) == pytest.approx(3.182446 * values.std(ddof=1) / 2, rel=1e-6)
    assert half_width(np.array([[1.0]])) == [np.inf]
