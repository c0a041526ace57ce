"""The fast cells against the textbook's, and the textbook's against central differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends.numpy_backend import textbook
from backends.numpy_backend.cells import CELLS
from backends.numpy_backend.recurrence import Workspace

T, B, F, H = 6, 4, 3, 5
GATES = {"rnn tanh": 1, "rnn relu": 1, "lstm": 4, "gru after": 3, "gru before": 3}
Array = np.ndarray
Weights = tuple[Array, Array, Array]


def forward(cell: str) -> tuple[Callable[..., Any], Callable[..., Any], dict[str, str]]:
    """The textbook's pair, and the option that tells two forms of a cell apart."""
    kind, _, form = cell.partition(" ")
    option = {"rnn": "activation", "gru": "reset"}.get(kind)
    functions = (getattr(textbook, f"{kind}_{way}") for way in ("forward", "backward"))
    return (*functions, {} if option is None else {option: form})


def problem(cell: str, masked: bool, replica: int = 0) -> tuple[Array, Weights, Array, Array]:
    """Inputs, weights, mask and the errors that arrive at the states."""
    rng = np.random.default_rng(len(cell) + masked + 100 * replica)
    wide = GATES[cell] * H
    bias = (2, wide) if cell.startswith("gru") else (wide,)
    W, U, b = (rng.normal(0, 0.7, shape) for shape in ((F, wide), (H, wide), bias))
    mask = np.ones((T, B, 1))
    if masked:
        mask[:, replica], mask[2:4, 1 + replica], mask[-2:, 2] = 0, 0, 0
    return rng.normal(size=(T, B, F)), (W, U, b), mask, rng.normal(size=(T, B, H))


def gradients(cell: str, x: Array, weights: Weights, mask: Array, dh: Array) -> Weights:
    """Of the loss Σ dh ⊙ h, by the textbook."""
    run, back, option = forward(cell)
    _, steps = run(x, weights, mask, **option)
    return back(dh, *weights[:2], steps, **option)


def fast(
    cell: str, x: Array, weights: Weights, mask: Array | None, dh: Array
) -> tuple[Array, Array, Weights]:
    """States, the error of the projected inputs, and the gradients; all with a replica axis.

    The workspace is that of an earlier step, of other inputs and errors.
    """
    run, back = CELLS["rnn" if cell.startswith("rnn") else cell]
    activation, work = forward(cell)[2].get("activation", "tanh"), Workspace()
    _, cache = run(3 * x, weights, mask, activation, work)
    back(5 * dh, cache, work)
    h, cache = run(x, weights, mask, activation, work)
    return h, *back(dh.copy(), cache, work)


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("cell", GATES)
def test_fast_cells_compute_what_the_textbook_does(cell: str, masked: bool) -> None:
    """Two replicas at once, each with its own inputs, weights and padding."""
    problems = [problem(cell, masked, replica) for replica in range(2)]
    x, dh, W, U, b, mask = (
        np.stack(each)
        for each in zip(
            *((x, dh, *weights, mask) for x, weights, mask, dh in problems), strict=True
        )
    )
    h, _, found = fast(cell, x, (W, U, b), mask if masked else None, dh)
    run, _, option = forward(cell)
    for r, given in enumerate(problems):
        states, _ = run(*given[:3], **option)
        np.testing.assert_allclose(h[r], states, rtol=0, atol=1e-13)
        for ours, theirs in zip(found, gradients(cell, *given), strict=True):
            np.testing.assert_allclose(ours[r], theirs, rtol=0, atol=1e-13 * np.abs(theirs).max())


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("cell", GATES)
def test_fast_cells_compute_in_float32_if_they_are_given_it(cell: str, masked: bool) -> None:
    x, weights, mask, dh = problem(cell, masked)
    x32, W, U, b, mask32, dh32 = (each[None].astype("float32") for each in (x, *weights, mask, dh))
    h, da, found = fast(cell, x32, (W, U, b), mask32 if masked else None, dh32)
    assert {each.dtype.name for each in (h, da, *found)} == {"float32"}
    for ours, theirs in zip(found, gradients(cell, x, weights, mask, dh), strict=True):
        np.testing.assert_allclose(ours[0], theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("cell", GATES)
def test_the_textbook_agrees_with_central_differences(cell: str) -> None:
    x, weights, mask, dh = problem(cell, masked=True)
    run, _, option = forward(cell)
    found = gradients(cell, x, weights, mask, dh)
    for place, (weight, gradient) in enumerate(zip(weights, found, strict=True)):
        for index in np.ndindex(weight.shape):
            losses = []
            for step in (1e-6, -1e-6):
                moved = [w.copy() for w in weights]
                moved[place][index] += step
                losses.append((dh * run(x, tuple(moved), mask, **option)[0]).sum())
            expected = (losses[0] - losses[1]) / 2e-6
            assert gradient[index] == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("cell", GATES)
def test_a_changed_formula_is_seen(cell: str) -> None:
    """The comparison can fail: with two samples' masks exchanged, gradients differ."""
    x, weights, mask, dh = problem(cell, masked=True)
    right = gradients(cell, x, weights, mask, dh)
    wrong = gradients(cell, x, weights, mask[:, ::-1], dh)
    assert not np.allclose(right[0], wrong[0], rtol=0, atol=1e-3)
