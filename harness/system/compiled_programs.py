"""Compiled programs that nobody will call again.

XLA keeps a program for as long as JAX knows it, in some 100 memory maps of its own, and Linux
grants a process 65,530; beyond that, compiling ends the process. What is compiled for Keras by XLA
(140 maps a program) and for PyTorch (80) cannot be freed, and stays.
"""

import gc
from collections.abc import Callable
from pathlib import Path

MAPS = Path("/proc/self/maps")
MANY = 20_000  # maps, after which programs are freed

_frees: list[Callable[[], None]] = []  # of the frameworks that are loaded


def freed_by(function: Callable[[], None]) -> Callable[[], None]:
    """Have a framework's compiled programs freed by `function`, which its backend decorates."""
    _frees.append(function)
    return function


def free_if_many() -> None:
    """Free programs at a point where what was compiled so far may not be needed again."""
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY:
        free()


def free() -> None:
    """Free all compiled programs; what is needed again is compiled again."""
    for function in _frees:
        function()
    if _frees:
        gc.collect()
