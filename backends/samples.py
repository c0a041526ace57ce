"""The samples of all replicas one after the other, so that one lookup finds a batch for each.

Replicas that train on the same data share its N samples; else replica r's begin at r · N.
"""

from dataclasses import dataclass

import numpy as np

from backends import Data

Array = np.ndarray


@dataclass(frozen=True)
class Samples:
    """`arrays` are x, y and the mask, if there is one, `(M, …)` each with M = N or R · N; `offset`,
    0 or `(R, 1)`, turns a replica's own sample numbers into theirs."""

    arrays: dict[str, Array]
    offset: Array | int


def samples_of(data: Data, replicas: int) -> Samples:
    """Flatten the replica axis of `data`; data that all replicas share are stored once."""
    parts = data.arrays()
    shared = all(len(part) == 1 for part in parts.values())
    count = 1 if shared else replicas
    wide = {n: np.broadcast_to(a, (count, *a.shape[1:])) for n, a in parts.items()}
    flat = {n: np.ascontiguousarray(a).reshape(-1, *a.shape[2:]) for n, a in wide.items()}
    return Samples(flat, 0 if shared else data.x.shape[1] * np.arange(replicas)[:, None])
