"""The samples: sequences of uniform numbers, and their sums."""

import numpy as np

from benchmarks.common.cases import FEATURES, Case

Array = np.ndarray


def samples(case: Case) -> tuple[Array, Array]:
    """Return `x` `(N, T, F)` and `y` `(N, 1)`, float32."""
    shape = (case.samples, case.length, FEATURES)
    x = np.random.default_rng(0).uniform(size=shape).astype("float32")
    return x, x.sum(axis=(1, 2))[:, None]
