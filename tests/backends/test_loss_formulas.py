"""The NumPy losses against their formulas, in Python's own floats, and their gradients against
central differences and known slopes; where a sigmoid saturates, against what frameworks document.
"""

from math import exp, log

import numpy as np
import pytest

from backends import Array
from backends.numpy_backend.losses import mean_loss

FORMS = ("logits", "clipped", "log_clamped")
LOSSES = [("mse", ""), *(("bce", form) for form in FORMS)]


def one(form: str, o: float, y: float, dtype: str = "float64") -> tuple[float, float]:
    """Binary cross-entropy of a single logit, and its slope."""
    outputs, targets = (np.array([[[value]]], dtype) for value in (o, y))
    with np.errstate(over="ignore", divide="ignore"):
        loss, gradient = mean_loss("bce", form, outputs, targets, None)
    return float(loss[0]), float(gradient[0, 0, 0])


def by_hand(loss: str, o: float, y: float) -> float:
    if loss == "mse":
        return (o - y) ** 2
    p = 1 / (1 + exp(-o))
    return -y * log(p) - (1 - y) * log(1 - p)


def drawn() -> tuple[Array, Array, Array]:
    """Outputs, targets between 0 and 1 `(R, T, B, O)`, and a mask `(R, T, B, 1)`."""
    rng = np.random.default_rng(1)
    mask = (rng.random((2, 3, 4, 1)) < 0.6).astype(float)
    return rng.normal(0, 2, (2, 3, 4, 5)), rng.random((2, 3, 4, 5)), mask


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize(("loss", "form"), LOSSES)
def test_loss_is_the_mean_over_real_entries(loss: str, form: str, masked: bool) -> None:
    outputs, y, mask = drawn()
    found, _ = mean_loss(loss, form, outputs, y, mask if masked else None)
    for r in range(2):
        terms = [
            by_hand(loss, float(outputs[r, t, b, o]), float(y[r, t, b, o]))
            for t, b, o in np.ndindex(outputs.shape[1:])
            if mask[r, t, b, 0] or not masked
        ]
        assert found[r] == pytest.approx(sum(terms) / len(terms), rel=1e-13)


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize(("loss", "form"), LOSSES)
def test_gradient_is_the_slope_of_the_loss(loss: str, form: str, masked: bool) -> None:
    outputs, y, mask = drawn()
    given = mask if masked else None
    _, gradient = mean_loss(loss, form, outputs, y, given)
    assert gradient.shape == outputs.shape
    for place in np.ndindex(outputs.shape):
        ends = []
        for step in (1e-5, -1e-5):
            moved = outputs.copy()
            moved[place] += step
            ends.append(mean_loss(loss, form, moved, y, given)[0])
        slope = (ends[0] - ends[1])[place[0]] / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-6, abs=1e-9), place


@pytest.mark.parametrize(("loss", "form"), LOSSES)
def test_a_batch_of_padding_alone_has_no_loss_and_no_gradient(loss: str, form: str) -> None:
    outputs, y, mask = drawn()
    mask[1] = 0
    found, gradient = mean_loss(loss, form, outputs, y, mask)
    assert found[0] > 0
    assert found[1] == 0
    assert gradient[0].any()
    assert not gradient[1].any()


@pytest.mark.parametrize("form", FORMS)
def test_a_small_loss_keeps_its_digits(form: str) -> None:
    """−log σ(15) ≈ e⁻¹⁵, and −log(1 − σ(−15)) the same."""
    for o, y in ((15.0, 1.0), (-15.0, 0.0)):
        assert one(form, o, y)[0] == pytest.approx(exp(-15) - exp(-30) / 2, rel=1e-9)


@pytest.mark.parametrize("o", [800.0, -800.0])
def test_logits_lose_nothing_where_the_sigmoid_saturates(o: float) -> None:
    """On the wrong side the loss is |o| and its slope ±1, on the right side both are 0."""
    wrong, right = (0.0, 1.0) if o > 0 else (1.0, 0.0)
    assert one("logits", o, wrong) == (800, np.sign(o))
    assert one("logits", o, right) == (0, 0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("o", [20.0, -20.0])
def test_clipped_probabilities_end_at_1e_minus_7_and_leave_no_gradient(
    o: float, dtype: str
) -> None:
    """As in Keras, in its own precision: float32 rounds 1 − 1e-7 to 1 − 1.19e-7."""
    near = 1 - float(np.dtype(dtype).type(1 - 1e-7)) if o > 0 else 1e-7
    wrong, right = (0.0, 1.0) if o > 0 else (1.0, 0.0)
    loss, slope = one("clipped", o, wrong, dtype)
    assert loss == pytest.approx(-log(near), rel=1e-6)
    assert slope == 0
    loss, slope = one("clipped", o, right, dtype)
    assert 0.99e-7 < loss < 1.2e-7
    assert slope == 0
    assert abs(one("clipped", o / 2, wrong, dtype)[1]) > 0.999, "still within"


def test_a_probability_at_the_edge_of_clipping_keeps_its_gradient() -> None:
    """As in `tf.clip_by_value`; in float32, logits from 15.6 to 16.6 give this probability."""
    assert 1 / (1 + np.exp(np.float32(-15.8))) == np.float32(1 - 1e-7)
    assert one("clipped", 15.8, 0.0, "float32")[1] == np.float32(1 - 1e-7)


@pytest.mark.parametrize("o", [800.0, -800.0])
def test_clamped_logarithms_end_at_minus_100(o: float) -> None:
    wrong, right = (0.0, 1.0) if o > 0 else (1.0, 0.0)
    assert one("log_clamped", o, wrong) == (100, 0)
    assert one("log_clamped", o, right) == (0, 0)


@pytest.mark.parametrize("o", [-35.0, -26.0])
def test_slope_of_clamped_logarithms_fades_with_the_variance(o: float) -> None:
    """PyTorch divides by p(1 − p), but by no less than 1e-12."""
    p = 1 / (1 + exp(-o))
    share = min(p * (1 - p) / 1e-12, 1.0)
    assert one("log_clamped", o, 1.0)[1] == pytest.approx(-(1 - p) * share, rel=1e-6)
