"""Where compiled programs are kept between processes: `results/cache`.

PyTorch's Inductor and JAX have a cache on disk each. They read where from the environment, as they
are imported, so it has to be said before a backend is loaded; what the user has set stays.
"""

import os
from pathlib import Path


def use_compile_cache(results: Path) -> None:
    """Let frameworks that are loaded from now on keep what they compile below `results`."""
    cache = results.resolve() / "cache"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "torch"))
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "jax"))
    # By default JAX keeps only what took a second to compile, and most programs here take less.
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
