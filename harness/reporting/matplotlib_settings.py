"""Matplotlib with its own settings, whatever the surroundings say.

Jupyter and Colab hand their back end on to programs in `MPLBACKEND`, and Matplotlib cannot be
imported where that is not installed. A `matplotlibrc`, in the current directory or the user's own,
may ask for a window, for LaTeX or for other sizes; pictures are to look the same everywhere.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def default_settings() -> Iterator[None]:
    """Draw and save within this block, or in a function that it decorates."""
    own = _defaults()
    import matplotlib

    now = matplotlib.rcParams
    with matplotlib.rc_context({n: value for n, value in own.items() if now[n] != value}):
        yield


@cache
def _defaults() -> Any:
    """What Matplotlib comes with, but for a back end: no picture here is drawn by `pyplot`."""
    if "matplotlib" not in sys.modules:
        asked = os.environ.pop("MPLBACKEND", None)
        try:
            import matplotlib
        finally:
            if asked is not None:
                os.environ["MPLBACKEND"] = asked
    import matplotlib

    return {n: value for n, value in matplotlib.rcParamsDefault.items() if n != "backend"}
