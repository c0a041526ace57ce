"""What all tests share: the `backend` fixture and the one table of tolerances.

No framework is imported here: a test that runs on the NumPy reference alone must not load one.
"""

from dataclasses import dataclass
from importlib import import_module

import pytest

from backends import Backend

BACKENDS = {"numpy": "NumpyBackend", "torch": "TorchBackend", "keras": "KerasBackend"}


@dataclass(frozen=True)
class Limits:
    """How far two correct backends may be apart; relative errors, see `tests/agreement.py`."""

    forward: float
    gradient: float
    losses: float
    steps: int  # how many optimiser steps `losses` holds for


# Beside each limit: the worst error that these tests measured, on an x86 CPU with AVX-512.
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


def backend_class(name: str) -> type[Backend]:
    """The class of the backend `name`; its framework is imported by this call."""
    return getattr(import_module(f"backends.{name}_backend"), BACKENDS[name])


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> type[Backend]:
    """Each backend's class in turn."""
    return backend_class(request.param)


@pytest.fixture(params=[name for name in BACKENDS if name != "numpy"])
def framework_backend(request: pytest.FixtureRequest) -> type[Backend]:
    """Each backend's class but the reference's."""
    return backend_class(request.param)
