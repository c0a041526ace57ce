"""The random numbers of a run, as named streams split from one seed.

A stream is named by its purpose (`"weights", "rnn.0.kernel"` or `"order", 7`), so adding a stream,
reordering the code or resuming at epoch 7 changes no other stream. No framework's generator is used
anywhere in the project.
"""

import zlib

import numpy as np

from harness.core.arrays import Array


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator of one purpose: `stream(0, "order", 3)`. Seed 0 is a seed like any."""
    key = tuple(zlib.crc32(n.encode()) if isinstance(n, str) else n for n in names)
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=key)))


def batch_order(seeds: list[int], epoch: int, samples: int, shuffle: bool) -> Array:
    """Return the order in which each replica visits its samples in `epoch`: int array `(R, N)`."""
    if not shuffle:
        return np.broadcast_to(np.arange(samples), (len(seeds), samples))
    return np.array([stream(seed, "order", epoch).permutation(samples) for seed in seeds])
