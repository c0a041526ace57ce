"""The folder in which compiled programs are kept between processes: `results/cache`.

PyTorch's Inductor and JAX each have a cache on disk. They read its folder from the environment when
they are imported, so it is set before a backend is loaded. A value that the user has set stays.
"""

import os
from pathlib import Path


def use_compile_cache(results: Path) -> None:
    """Make frameworks that are imported from now on keep compiled programs below `results`."""
    cache = results.resolve() / "cache"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torch"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "jax"))
    # By default JAX keeps only what took a second to compile, and most programs here take less.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
