"""How far two correct backends may be apart: the one table of tolerances, by precision."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Relative errors; `harness/parity/stages.py` says relative to what."""

    forward: float  # hidden states, outputs, and the loss of one step
    gradient: float  # gradients; optimiser memory and weights after one step
    losses: float  # the loss of every step
    steps: int  # how many optimiser steps `losses` holds for


# Beside each limit: the worst error that the tests measured, on an x86 CPU with AVX-512.
LIMITS = {
    "float64": Limits(
        forward=1e-12,  # 1.1e-15; a replica against its single run, a resumed run: 0
        gradient=1e-10,  # 1.8e-15; NumPy against central differences: 5.4e-11
        losses=1e-9,  # 2.9e-14; against plain PyTorch and Keras loops: 2.7e-14 and 2.2e-15
        steps=500,
    ),
    "float32": Limits(
        forward=1e-5,  # 2.1e-7
        gradient=1e-4,  # 5.9e-7
        losses=1e-5,  # 2.1e-7; over 500 steps: at most 0.7 of the control band, itself up to 1.0
        steps=10,
    ),
}
