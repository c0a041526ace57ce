"""Keras' golden outputs: keras-team/keras, keras/src/layers/rnn/{simple_rnn,lstm,gru}_test.py,
`test_correctness` and `test_masking`: masks with holes, `reset_after=False`,
`unit_forget_bias=False`, no bias, `go_backwards`.

Kernels are 0.01, recurrent kernels 0.02 and biases 0.03 throughout, inputs 0, 1, 2, …; so gates,
rows and columns that are exchanged show nothing (but the forget gate's bias of 1), and all units of
a layer are equal: one is kept here. Left out: an initial or kept state, which our layers do not
have, and `zero_output_for_mask`, which changes what is shown, not what is computed.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from backends import Array, Backend
from backends.numpy_backend import NumpyBackend
from harness.core.model import GATES
from tests.vectors.layer import SEVEN_DIGITS, states

HOLES = ((1, 1, 0, 1), (1, 0, 0, 1))  # the mask of SimpleRNN and GRU
BEHIND = ((1, 1, 1, 0), (1, 1, 0, 0))  # of the LSTM
BEFORE = ((0, 1, 1, 1), (0, 0, 1, 1))


@dataclass(frozen=True)
class Golden:
    """One unit's last state for each sequence, or its states at every step."""

    cell: str
    units: int
    x: tuple[int, int, int]  # (N, T, F), filled with 0, 1, 2, …
    wanted: tuple[float | tuple[float, ...], ...]
    mask: tuple[tuple[int, ...], ...] | None = None
    reset: str = "after"
    forget: float = 1.0  # the forget gate's bias
    bias: float = 0.03
    backwards: bool = False

    def error(self, backend: type[Backend]) -> float:
        x = np.arange(np.prod(self.x), dtype=float).reshape(self.x)
        mask = None if self.mask is None else np.array(self.mask, bool)
        if self.backwards:
            x, mask = x[:, ::-1], None if mask is None else mask[:, ::-1]
        ours = states(backend, self.cell, self.weights(), x, mask, reset=self.reset)
        wanted = np.array(self.wanted)[..., None]
        return float(np.abs((ours if wanted.ndim == 3 else ours[:, -1]) - wanted).max())

    def weights(self) -> tuple[Array, Array, Array]:
        wide, units = GATES[self.cell] * self.units, self.units
        b = np.full((2, wide), self.bias)
        if self.cell != "gru" or self.reset == "before":  # Keras has one bias there
            b[1] = 0
        if self.cell == "lstm":
            b[0, units : 2 * units] = self.forget
        return np.full((self.x[2], wide), 0.01), np.full((units, wide), 0.02), b


LONG, SHORT = (3, 6, 4), (2, 4, 3)
GOLDENS = {
    "simple": Golden("rnn", 4, (2, 3, 4), (0.405432, 0.73605347)),
    "simple backwards": Golden("rnn", 4, (2, 3, 4), (0.11144729, 0.5528889), backwards=True),
    "simple masked": Golden("rnn", 4, SHORT, (0.32951632, 0.61799484), HOLES),
    "simple masked, every step": Golden(
        "rnn",
        2,
        SHORT,
        (
            (0.0599281, 0.15122814, 0.15122814, 0.32394567),
            (0.3969304, 0.3969304, 0.3969304, 0.608085),
        ),
        HOLES,
    ),
    "simple masked backwards": Golden(
        "rnn", 4, SHORT, (0.07376196, 0.43645123), HOLES, backwards=True
    ),
    "lstm": Golden("lstm", 3, LONG, (0.6288687, 0.86899155, 0.9460773)),
    "lstm backwards": Golden("lstm", 3, LONG, (0.35622165, 0.74789524, 0.8872726), backwards=True),
    "lstm unit_forget_bias=False": Golden(
        "lstm", 3, LONG, (0.57019705, 0.8661914, 0.9459622), forget=0.03
    ),
    "lstm use_bias=False": Golden(
        "lstm", 3, LONG, (0.54986924, 0.86226785, 0.9443936), forget=0.0, bias=0.0
    ),
    "lstm masked, every step": Golden(
        "lstm",
        2,
        SHORT,
        (
            (0.01588910, 0.05552048, 0.11755939, 0.11755939),
            (0.14185596, 0.28556206, 0.28556206, 0.28556206),
        ),
        BEHIND,
    ),
    "lstm masked backwards": Golden(
        "lstm", 2, SHORT, (0.15341201, 0.3844719), BEFORE, backwards=True
    ),
    "gru": Golden("gru", 3, LONG, (0.5217289, 0.6371659, 0.39384964)),
    "gru backwards": Golden("gru", 3, LONG, (0.24406259, 0.611516, 0.3928808), backwards=True),
    "gru reset_after=False": Golden(
        "gru", 3, LONG, (0.51447755, 0.6426879, 0.40208298), reset="before"
    ),
    "gru use_bias=False": Golden("gru", 3, LONG, (0.49988455, 0.64701194, 0.4103359), bias=0.0),
    "gru masked, every step": Golden(
        "gru",
        2,
        SHORT,
        (
            (0.03606692, 0.09497581, 0.09497581, 0.19393763),
            (0.16051409, 0.16051409, 0.16051409, 0.30818558),
        ),
        HOLES,
    ),
    "gru masked backwards": Golden(
        "gru", 2, SHORT, (0.11669192, 0.28380975), HOLES, backwards=True
    ),
}
# For all backends: compiling takes longer than the test.
KINDS = ("simple masked, every step", "lstm unit_forget_bias=False", "gru reset_after=False")


@pytest.mark.parametrize("name", GOLDENS)
def test_the_reference_repeats_it(name: str) -> None:
    assert GOLDENS[name].error(NumpyBackend) < SEVEN_DIGITS


@pytest.mark.parametrize("name", KINDS)
def test_every_backend_repeats_it(framework_backend: type[Backend], name: str) -> None:
    assert GOLDENS[name].error(framework_backend) < SEVEN_DIGITS


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("lstm", {"forget": 0.03}),
        ("gru", {"reset": "before"}),
        ("gru reset_after=False", {"reset": "after"}),
        ("gru masked, every step", {"mask": BEHIND}),
        ("simple masked backwards", {"backwards": False}),
        ("gru use_bias=False", {"bias": 0.03}),
    ],
)
def test_a_wrong_rule_shows(name: str, change: dict[str, Any]) -> None:
    assert replace(GOLDENS[name], **change).error(NumpyBackend) > 100 * SEVEN_DIGITS
