"""Free compiled programs before a process runs out of memory maps.

XLA keeps a program for as long as JAX refers to it, in some 100 memory maps of its own. Linux
grants a process 65,530 maps; beyond that, compiling ends the process. Programs that XLA compiles
for Keras (140 maps each) and those of PyTorch (80) cannot be freed.
"""

import gc
from collections.abc import Callable
from pathlib import Path

MAPS = Path("/proc/self/maps")
MANY = 20_000  # memory maps of the process above which programs are freed

_free_functions: list[Callable[[], None]] = []  # one for each framework that is loaded


def freed_by(function: Callable[[], None]) -> Callable[[], None]:
    """Register `function` as the one that frees a framework's programs; a decorator."""
    _free_functions.append(function)
    return function


def free_if_many() -> None:
    """Free all compiled programs if the process has more than `MANY` memory maps.

    To be called where the programs compiled so far may not be needed again.
    """
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY:
        free()


def free() -> None:
    """Free all compiled programs; those that are needed again are compiled again."""
    for function in _free_functions:
        function()
    if _free_functions:
        gc.collect()
