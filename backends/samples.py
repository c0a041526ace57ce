"""The samples of all replicas in one array, so that one lookup gathers all replicas' batches.

Replicas that train on the same data share its N samples; else those of replica r begin at r · N.
"""

from dataclasses import dataclass

import numpy as np

from backends import Data
from harness.core.arrays import Array


@dataclass(frozen=True)
class Samples:
    """The samples of all replicas.

    `arrays` are x, y and the mask, if there is one, `(M, …)` each with M = N or R · N; `offset`, 0
    or `(R, 1)`, is added to a replica's indices `(R, B)` to give indices into them.
    """

    arrays: dict[str, Array]
    offset: Array | int


def samples_of(data: Data, replicas: int) -> Samples:
    """Return the samples of `data` for `replicas` replicas."""
    parts = data.arrays()
    shared = all(len(part) == 1 for part in parts.values())
    count = 1 if shared else replicas
    repeated = {n: np.broadcast_to(a, (count, *a.shape[1:])) for n, a in parts.items()}
    flat = {n: np.ascontiguousarray(a).reshape(-1, *a.shape[2:]) for n, a in repeated.items()}
    return Samples(flat, 0 if shared else data.x.shape[1] * np.arange(replicas)[:, None])
