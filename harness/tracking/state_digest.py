"""The digest of a training state, by which two runs tell whether they are equal bit for bit.

The journal has one for each epoch. It takes less time than the copy of the state that each epoch
leaves for its checkpoint: SHA-256 reads 1.4 GB a second where the processor has instructions for
it, and a small network costs some 25 µs.
"""

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np

from backends import State

DIGITS = 16  # of 64: 64 bits


def state_digest(state: State) -> str:
    """Return a digest of the weights and the optimiser's memory, all replicas together.

    The arrays are taken by name, so their order in the state does not count. The number of updates
    done is left out: the schedule decides it.
    """
    arrays = dict(state.params)
    for slot, values in state.slots.items():
        arrays |= {f"{slot} of {name}": value for name, value in values.items()}
    names = sorted(arrays)
    digest = _begun(tuple((name, arrays[name].shape, arrays[name].dtype) for name in names)).copy()
    for name in names:
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()[:DIGITS]


@lru_cache
def _begun(form: tuple[tuple[str, tuple[int, ...], np.dtype[Any]], ...]) -> Any:
    """Return the digest of names, shapes and types, which half of the time would go into."""
    return hashlib.sha256(repr([(name, shape, t.str) for name, shape, t in form]).encode())
