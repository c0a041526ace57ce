"""The samples that a training has seen, each distinct one once, and which of them a step took.

A framework hides the order in which it shuffles, but not the batches. Two samples are the same if
their bytes are, and then no training can tell them apart.
"""

import hashlib

import numpy as np

from harness.core.arrays import Array

DIGEST_BYTES = 16
LIMIT = 2**28  # bytes of all samples, 256 MiB; beyond it only their digests are kept


class Rows:
    """Distinct samples, in the order in which they were first used."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.bytes = 0
        self._numbers: dict[bytes, int] = {}  # by digest
        self._kept: list[dict[str, Array]] = []

    def add(self, batch: dict[str, Array]) -> list[int]:
        """Return the numbers of a batch's samples; each array is `(B, …)`, by its name."""
        batch = {name: as_numpy(values) for name, values in batch.items()}
        length = len(next(iter(batch.values())))
        return [self._number({name: v[n] for name, v in batch.items()}) for n in range(length)]

    @property
    def digests(self) -> Array:
        """The digest of each sample, `(N, 16)` in uint8; see `digest`."""
        joined = np.frombuffer(b"".join(self._numbers), np.uint8)
        return joined.reshape(len(self._numbers), DIGEST_BYTES)

    @property
    def too_large(self) -> bool:
        """Whether the samples have outgrown the limit, so that only digests were kept."""
        return self.bytes > self.limit

    @property
    def ragged(self) -> bool:
        """Whether samples have several shapes or types, so that no one array holds them."""
        kinds = {tuple((n, v.shape, v.dtype) for n, v in row.items()) for row in self._kept}
        return len(kinds) > 1

    def arrays(self) -> dict[str, Array]:
        """Return all samples, `(N, …)` by name, or nothing if they are too large or ragged."""
        if self.too_large or self.ragged or not self._kept:
            return {}
        return {name: np.stack([row[name] for row in self._kept]) for name in self._kept[0]}

    def _number(self, row: dict[str, Array]) -> int:
        key = digest(row)
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers)
            self.bytes += sum(values.nbytes for values in row.values())
            if self.too_large:
                self._kept.clear()
            else:
                self._kept.append({name: values.copy() for name, values in row.items()})
        return self._numbers[key]


def digest(row: dict[str, Array]) -> bytes:
    """Return BLAKE2b, 16 bytes, of one sample: x, y and its weight in C order, little-endian."""
    hashed = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for values in row.values():
        hashed.update(values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes())
    return hashed.digest()


def as_numpy(values: object) -> Array:
    """Return an array; types that NumPy has not, such as bfloat16, become float32."""
    array = np.asarray(values)
    return array if array.dtype.kind in "fiub" else array.astype(np.float32)
