"""Compiled programs that nobody will call again.

XLA keeps a program for as long as JAX knows it, in some 100 memory maps of its own, and Linux
grants a process 65,530; beyond that, compiling ends the process. What is compiled for Keras by XLA
(140 maps a program) and for PyTorch (80) cannot be forgotten, and stays.
"""

import gc
import sys
from pathlib import Path

MAPS = Path("/proc/self/maps")
MANY = 20_000  # maps, after which programs are forgotten


def forget_if_many() -> None:
    """To be called where what was compiled so far may not be needed again."""
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY:
        forget()


def forget() -> None:
    """Forget all; what is needed again is compiled again."""
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    if "backends.keras_program" in sys.modules:
        for program in ("train_program", "predict_program"):
            getattr(sys.modules["backends.keras_program"], program).cache_clear()
        sys.modules["keras"].backend.clear_session()
    gc.collect()
