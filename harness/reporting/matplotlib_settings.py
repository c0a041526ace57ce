"""Matplotlib with its default settings, so that figures look the same everywhere.

Jupyter and Colab pass their Matplotlib backend on to programs in `MPLBACKEND`, and Matplotlib
cannot be imported where that is not installed. A `matplotlibrc`, in the current directory or the
user's home, may ask for a window, for LaTeX or for other sizes.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def default_settings() -> Iterator[None]:
    """Set Matplotlib's defaults while the block, or a decorated function, draws and saves."""
    defaults = _defaults()
    import matplotlib

    current = matplotlib.rcParams
    with matplotlib.rc_context({n: value for n, value in defaults.items() if current[n] != value}):
        yield


@cache
def _defaults() -> Any:
    """Return Matplotlib's default settings except for the backend, which only `pyplot` uses."""
    if "matplotlib" not in sys.modules:
        backend = os.environ.pop("MPLBACKEND", None)
        try:
            import matplotlib
        finally:
            if backend is not None:
                os.environ["MPLBACKEND"] = backend
    import matplotlib

    return {n: value for n, value in matplotlib.rcParamsDefault.items() if n != "backend"}
