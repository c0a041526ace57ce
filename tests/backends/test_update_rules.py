"""The NumPy update rules against the papers' formulas, worked out in Python's own floats, entry by
entry; and clipping and weight decay against what is known of them.
"""

from dataclasses import replace
from math import inf, nan, sqrt
from typing import Any

import numpy as np
import pytest

from backends import Array
from backends.numpy_backend import NumpyBackend
from backends.numpy_backend.optimizers import UPDATE, clip, decay
from harness.core.semantics import Semantics
from harness.training.gradient import gradients
from tests.support.problems import MATCHED, Case

STEPS = 6
SLOTS = {"sgd": ("velocity",), "adam": ("m", "v"), "rmsprop": ("v",)}
# Each of two replicas has its own numbers.
NUMBERS = {
    "sgd": {"momentum": (0.875, 0.5)},
    "adam": {"beta1": (0.875, 0.75), "beta2": (0.96875, 0.5)},
    "rmsprop": {"rho": (0.75, 0.9375)},
}
NESTEROV = {"nesterov": (1.0, 1.0)}
Steps = list[tuple[float, float]]  # of one entry: its gradient and the learning rate

# ------------------------------------------------------------------------- the optimisers, by hand


def sgd_by_hand(θ: float, steps: Steps, n: dict[str, float], s: Semantics) -> list[float]:
    """Sutskever et al. 2013. With the rate inside, v sums lr·g and is itself the step."""
    v, μ, inside = 0.0, n["momentum"], s.momentum_lr == "inside"
    for g, lr in steps:
        push = lr * g if inside else g
        v = μ * v + push
        step = push + μ * v if "nesterov" in n else v
        θ -= step if inside else lr * step
    return [θ, v]


def adam_by_hand(θ: float, steps: Steps, n: dict[str, float], s: Semantics) -> list[float]:
    """Kingma & Ba 2015, Algorithm 1, and the remark below it."""
    m, v, β1, β2, ε = 0.0, 0.0, n["beta1"], n["beta2"], s.adam_eps
    for t, (g, lr) in enumerate(steps, start=1):
        m, v = β1 * m + (1 - β1) * g, β2 * v + (1 - β2) * g**2
        if s.adam_eps_place == "corrected":
            θ -= lr * (m / (1 - β1**t)) / (sqrt(v / (1 - β2**t)) + ε)
        else:
            θ -= lr * sqrt(1 - β2**t) / (1 - β1**t) * m / (sqrt(v) + ε)
    return [θ, m, v]


def rmsprop_by_hand(θ: float, steps: Steps, n: dict[str, float], s: Semantics) -> list[float]:
    """Tieleman & Hinton 2012, lecture 6e."""
    v, ρ, ε = 0.0, n["rho"], s.rmsprop_eps
    for g, lr in steps:
        v = ρ * v + (1 - ρ) * g**2
        θ -= lr * g / (sqrt(v + ε) if s.rmsprop_eps_place == "inside" else sqrt(v) + ε)
    return [θ, v]


BY_HAND = {"sgd": sgd_by_hand, "adam": adam_by_hand, "rmsprop": rmsprop_by_hand}


@pytest.mark.parametrize(
    ("optimizer", "rules", "changed"),
    [
        ("sgd", {"momentum_lr": "outside"}, {}),
        ("sgd", {"momentum_lr": "inside"}, {}),
        ("sgd", {"momentum_lr": "outside"}, NESTEROV),
        ("sgd", {"momentum_lr": "inside"}, NESTEROV),
        ("adam", {"adam_eps_place": "corrected", "adam_eps": 0.25}, {}),
        ("adam", {"adam_eps_place": "uncorrected", "adam_eps": 0.25}, {}),
        ("rmsprop", {"rmsprop_eps_place": "outside", "rmsprop_eps": 0.25}, {}),
        ("rmsprop", {"rmsprop_eps_place": "inside", "rmsprop_eps": 0.25}, {}),
    ],
)
def test_every_entry_moves_as_in_the_paper(
    optimizer: str, rules: dict[str, Any], changed: dict[str, Any]
) -> None:
    semantics, numbers = replace(MATCHED, **rules), NUMBERS[optimizer] | changed
    n = {name: np.array(values)[:, None] for name, values in numbers.items()}  # (R, 1)
    rng = np.random.default_rng(0)
    θ, gradients = rng.normal(size=(2, 3)), rng.normal(size=(STEPS, 2, 3))
    rates = np.array([[0.5], [0.125]]) * 0.75 ** np.arange(STEPS)[:, None, None]  # (S, R, 1)
    before, slots = θ.copy(), {name: np.zeros_like(θ) for name in SLOTS[optimizer]}
    for t, (g, lr) in enumerate(zip(gradients, rates, strict=True), start=1):
        UPDATE[optimizer](θ, g.copy(), slots, n | {"lr": lr, "t": np.array(t)}, semantics)
    for r, k in np.ndindex(θ.shape):
        steps = list(zip(gradients[:, r, k].tolist(), rates[:, r, 0].tolist(), strict=True))
        number = {name: values[r] for name, values in numbers.items()}
        expected = BY_HAND[optimizer](float(before[r, k]), steps, number, semantics)
        found = [θ[r, k], *(slots[name][r, k] for name in SLOTS[optimizer])]
        assert found == pytest.approx(expected, rel=1e-13), (r, k)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("place", ["outside", "inside"])
def test_momentum_in_float32_is_rounded_at_every_step_to_float32(
    place: str, nesterov: bool
) -> None:
    μ, lr, v = np.float32(0.9), np.float32(0.1), np.float32(0)
    θ, by_hand = np.ones((1, 1), "float32"), np.float32(1)
    slots, s = {"velocity": np.zeros_like(θ)}, replace(MATCHED, momentum_lr=place)
    n = {"momentum": np.array([[0.9]]), "lr": np.full_like(θ, lr)}
    n |= NESTEROV if nesterov else {}
    for t, g in enumerate(np.random.default_rng(2).normal(size=20).astype("float32"), start=1):
        UPDATE["sgd"](θ, np.full_like(θ, g), slots, n, s)
        push = lr * g if place == "inside" else g
        v = v * μ + push
        step = push + μ * v if nesterov else v
        by_hand -= step if place == "inside" else lr * step
        assert (θ[0, 0], slots["velocity"][0, 0]) == (by_hand, v), t


def test_powers_of_beta_are_rounded_where_the_rule_says_so() -> None:
    """In float32, 0.999 is 0.999000013, which changes 1 − β₂²⁰ by 1.3e-5 of itself."""
    corrections = {}
    for powers in ("float64", "training"):
        θ, g, lr = (value * np.ones((1, 1), "float32") for value in (0, 1, 1))
        n = {"beta1": np.array([[0.0]]), "beta2": np.array([[0.999]]), "lr": lr, "t": np.array(20)}
        slots = {"m": np.ones_like(g), "v": np.ones_like(g)}  # stay 1
        s = replace(MATCHED, beta_powers=powers, adam_eps=1e-30)
        UPDATE["adam"](θ, g, slots, n, s)
        corrections[powers] = float(θ[0, 0]) ** 2  # θ is −√(1 − β₂ᵗ)
    β = float(np.float32(0.999))
    assert corrections["float64"] == pytest.approx(1 - 0.999**20, rel=3e-7)
    assert corrections["training"] == pytest.approx(1 - β**20, rel=3e-6)
    assert abs(corrections["training"] / corrections["float64"] - 1) > 5e-6


# ----------------------------------------------------------------------- weight decay and clipping


def test_decay_takes_its_share_of_the_weight_or_gives_it_to_the_gradient() -> None:
    for way, expected in (
        ("decoupled", ([[1.9], [-3.0]], [[5.0], [5.0]])),
        ("coupled", ([[2.0], [-4.0]], [[5.4], [3.0]])),
    ):
        θ, g = np.array([[2.0], [-4.0]]), np.full((2, 1), 5.0)
        n = {"lr": np.array([[0.25], [0.5]]), "weight_decay": np.array([[0.2], [0.5]])}
        decay(θ, g, n, replace(MATCHED, weight_decay=way))
        np.testing.assert_allclose((θ, g), expected, rtol=1e-15)


def clipped(limit: float, dtype: str = "float64", **rules: Any) -> tuple[Array, Array]:
    """Gradients of two replicas in parts of 2 and 3 entries, before and after: `(2, 5)`. The norms
    are 13 and 5 (of the parts: 5 and 12, 3 and 4)."""
    before = np.array([[3.0, -4, 12, 0, 0], [0, 3, 0, 0, -4]]).astype(dtype)
    return before, clip_all(before, limit, **rules)


def clip_all(before: Array, limit: float, **rules: Any) -> Array:
    after = before.copy()
    clip(after, [2, 3], {"clip": np.array([[limit]])}, replace(MATCHED, **rules))
    return after


def test_a_norm_beyond_the_limit_becomes_the_limit_and_the_direction_stays() -> None:
    before, after = clipped(6.5, clip_scope="global", clip_eps=0.0)
    np.testing.assert_allclose(after, [before[0] / 2, before[1]], rtol=1e-15)
    before, after = clipped(4.0, clip_scope="variable", clip_eps=0.0)
    expected = [[3 * 0.8, -4 * 0.8, 4, 0, 0], before[1]]
    np.testing.assert_allclose(after, expected, rtol=1e-15)
    before, after = clipped(3.5, clip_scope="value", clip_eps=0.0)
    np.testing.assert_array_equal(after, [[3, -3.5, 3.5, 0, 0], [0, 3, 0, 0, -3.5]])


def test_epsilon_is_added_to_the_norm_before_it_divides() -> None:
    before, after = clipped(5.0, clip_scope="global", clip_eps=2.0)
    np.testing.assert_allclose(after, before * [[5 / 15], [5 / 7]], rtol=1e-15)


def test_a_norm_at_the_limit_is_not_clipped() -> None:
    before, after = clipped(13.0, clip_scope="global", clip_eps=0.0)
    np.testing.assert_array_equal(after, before)


def test_squares_beyond_float32_are_clipped_all_the_same() -> None:
    before, _ = clipped(1.0, "float32")
    after = clip_all(before * np.float32(1e30), 1.0, clip_scope="global", clip_eps=0.0)
    assert after.dtype == np.float32
    np.testing.assert_allclose(after, before / [[13], [5]], rtol=1e-6)


@pytest.mark.parametrize("wrong", [inf, nan])
def test_a_gradient_that_is_not_finite_does_not_become_so(wrong: float) -> None:
    before, _ = clipped(1.0)
    before[0, 0] = wrong
    with np.errstate(invalid="ignore"):
        after = clip_all(before, 1.0, clip_scope="global", clip_eps=0.0)
    assert not np.isfinite(after[0]).all()
    np.testing.assert_allclose(after[1], before[1] / 5, rtol=1e-15)


@pytest.mark.parametrize("way", ["coupled", "decoupled"])
@pytest.mark.parametrize("scope", ["global", "variable", "value"])
def test_a_step_clips_then_decays_then_moves(scope: str, way: str) -> None:
    rules = (("clip_scope", scope), ("clip_eps", 0.0), ("weight_decay", way))
    case = Case("clip-and-decay", weight_decay=0.5, clip=0.01, replicas=2, rules=rules)
    p = case.problem("float64", steps=1)
    rows, limit, λ = p.batches[0], 0.01, 0.5
    found = gradients(NumpyBackend, p.model, p.training, p.data, p.state, rows)
    backend = p.build(NumpyBackend)
    backend.train_epoch(rows[None], p.lr)
    for r in range(2):
        g = {name: value[r] for name, value in found.items()}
        norms = {name: np.linalg.norm(value.ravel()) for name, value in g.items()}
        whole = np.linalg.norm(list(norms.values()))
        lr = p.lr[0, r]
        for name, moved in backend.state().params.items():
            θ, norm = p.state.params[name][r], whole if scope == "global" else norms[name]
            small = g[name] * min(1, limit / norm)
            if scope == "value":
                small = np.clip(g[name], -limit, limit)
            expected = θ - lr * (small + λ * θ)  # the same either way, without a momentum
            np.testing.assert_allclose(moved[r], expected, rtol=0, atol=1e-12, err_msg=name)
