"""The tolerances within which two correct backends agree, by precision. No other file has any."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Largest relative errors; `harness/core/difference.py` says relative to which size."""

    forward: float  # hidden states, outputs, and the loss of one step
    gradient: float  # gradients; optimiser memory and weights after one step
    losses: float  # the loss of every step; for weights after the last, max(gradient, losses)
    steps: int  # the number of optimiser steps for which `losses` holds


# Beside each limit: the worst error measured on an x86 CPU with AVX-512, in the tests' cases, and
# after the semicolon in random configurations of `parity --fuzz` (430 in float64, 265 in float32,
# 55 of them with all four backends). In float32 a few of those need the control band.
LIMITS = {
    "float64": Limits(
        forward=1e-12,  # 1.1e-15; 2.1e-15. A replica against its single run, a resumed run: 0
        gradient=1e-10,  # 2.0e-15; 1.6e-12. NumPy against central differences: 5.4e-11
        losses=1e-9,  # 1.4e-13, and 2.2e-11 of the weights; 1.3e-14, and 6.3e-13 of the weights.
        # Against plain PyTorch and Keras loops: 2.7e-14 and 2.2e-15
        steps=500,
    ),
    "float32": Limits(
        forward=1e-5,  # 3.2e-7; 6.2e-6
        gradient=1e-4,  # 7.7e-7, and 1.3e-6 of the weights after 11 steps; 3.3e-5
        losses=1e-5,  # 9.6e-7; 8.4e-6. Over 500 steps: at most 0.1 of the control band
        steps=10,
    ),
}
