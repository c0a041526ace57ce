"""Python's search for garbage, left out where there is none to find.

It begins anew after every few hundred objects. While a framework is imported these are objects that
stay: without it Python imports TensorFlow in 2.6 s instead of 3.8, MLflow in 0.8 instead of 1.0.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def not_collected() -> Iterator[None]:
    """Let Python not search for garbage in the block, such as an import."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
