"""Planted differences are found.

Decides on shares, interplay and the frameworks' part against trainings by hand.
"""

import numpy as np
import pytest

from harness.config.compose import compose
from harness.core.errors import Diverged
from harness.why.answer import explain, find_answer, losses_of_side
from harness.why.retrain import losses
from harness.why.sentences import (
    sentence,
)
from harness.why.shapley import design
from tests.support.why_questions import SMALL, ask


def test_one_difference_has_the_whole_gap() -> None:
    question = ask("b.optimizer.lr=0.0001", "a.semantics.forget_bias=0")
    answer = find_answer(question)
    for outcome in answer.outcomes:
        assert outcome.significant
        assert outcome.gap > 0
        assert outcome.share(outcome.parts.mean[0]) == pytest.approx(1.0, abs=1e-12)
        assert outcome.framework == (0.0, 0.0)
        said = sentence(question, outcome)
        half = 100 * outcome.half / outcome.gap  # a part that is all of the gap has its interval
        assert f" 100 ± {half:.{0 if half >= 0.95 else 1}f} % is optimizer.lr; " in said
        assert "no framework has a part" in said
    assert [i.player.name for i in question.idle] == ["forget_bias"]


def test_two_differences_against_trainings_by_hand() -> None:
    words = {"optimizer.lr": ("0.01", "0.001"), "trainer.batch_size": ("8", "24")}
    question = ask(*(f"{s}.{k}={v[i]}" for k, v in words.items() for i, s in enumerate("ab")))
    answer = find_answer(question)
    v = {
        (i, j): losses(compose([*SMALL, f"optimizer.lr={lr}", f"trainer.batch_size={size}"]))
        for i, lr in enumerate(words["optimizer.lr"])
        for j, size in enumerate(words["trainer.batch_size"])
    }
    lr = (v[1, 0] - v[0, 0] + v[1, 1] - v[0, 1]) / 2
    size = (v[0, 1] - v[0, 0] + v[1, 1] - v[1, 0]) / 2
    order = [p.name for p in question.players]
    assert order == ["optimizer.lr", "trainer.batch_size"]
    for k, outcome in enumerate(answer.outcomes):
        np.testing.assert_allclose(outcome.parts.replicas, [lr[k], size[k]], rtol=1e-9)
        np.testing.assert_allclose(outcome.alone_a[0], v[1, 0][k] - v[0, 0][k], rtol=1e-9)
        np.testing.assert_allclose(outcome.alone_b[0], v[1, 1][k] - v[0, 1][k], rtol=1e-9)
        np.testing.assert_allclose(outcome.b - outcome.a, v[1, 1][k] - v[0, 0][k], rtol=1e-9)
        from_a, from_b = outcome.interplay()
        mixed = (v[1, 1] - v[1, 0] - v[0, 1] + v[0, 0])[k].mean()
        assert (from_a, from_b) == pytest.approx((mixed, -mixed), rel=1e-6)


@pytest.mark.slow
def test_processes_give_the_same_numbers() -> None:
    from harness.why.retrain import retrain

    question = ask("b.optimizer.lr=0.001", "b.trainer.batch_size=24")
    configs = {mask: question.coalition(mask) for mask in question.design.coalitions}
    here, there = (dict(retrain(configs, seconds)) for seconds in (0.0, 1e9))
    assert here.keys() == there.keys()
    for mask, value in here.items():
        np.testing.assert_array_equal(value, there[mask])


def test_the_frameworks_have_what_the_settings_leave() -> None:
    """A's framework adds 0.5 to every loss and B's 0.2, so 0.3 less is the frameworks' doing."""
    rng = np.random.default_rng(0)
    values = {mask: rng.normal(size=(2, 4)) for mask in range(4)}
    ends = np.stack([values[0], values[3]])
    own = ends + np.array([0.5, 0.2])[:, None, None]
    for outcome in explain(["x", "y"], own, ends, values, design(2, 4, rng)):
        assert outcome.framework == pytest.approx((-0.3, 0.0))
        total = outcome.parts.mean.sum() + outcome.framework[0]
        assert total == pytest.approx(outcome.gap)


@pytest.mark.slow
def test_a_real_framework_has_next_to_no_part() -> None:
    question = ask("a.backend=torch", "b.optimizer.lr=0.0001")
    outcome = find_answer(question).outcomes[0]
    mean, _ = outcome.framework
    assert 0 < abs(outcome.share(mean)) < 1e-3  # not 0: PyTorch rounds in another order
    assert "account for less than 0.1 %" in sentence(question, outcome)


def test_without_another_setting_all_of_a_gap_is_the_frameworks() -> None:
    question = ask("a.backend=torch")
    ends = np.zeros((2, 2, 3))
    own = np.stack([np.zeros((2, 3)), np.array([[1.0, 1.1, 0.9]] * 2)])
    outcome = explain(question.measures, own, ends)[0]
    assert not question.identical
    assert not question.players
    assert sentence(question, outcome) == (
        "Of the gap of 1.00 ± 0.25 in final val/loss, the frameworks themselves account for "
        "100 ± 25 %."
    )


def test_replicas_that_stop_early_count_as_they_would_alone() -> None:
    words = [*SMALL, "trainer.patience=1", "trainer.epochs=12", "optimizer.lr=0.3"]
    together = losses(compose(words))
    alone = [losses(compose([*words, "replicas=1", f"seed={s}"]))[:, 0] for s in range(3)]
    np.testing.assert_allclose(together, np.stack(alone, axis=1), rtol=1e-4)


def test_divergence_in_a_side_s_own_backend_names_the_side() -> None:
    with pytest.raises(Diverged, match="side B in numpy: loss not finite"):
        losses_of_side(compose([*SMALL, "optimizer=sgd", "optimizer.lr=1e30"]), "B")
