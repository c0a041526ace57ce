"""The matrix products of each step and nothing else, in NumPy: a lower limit of a step's time.

There are T small products forward and T backward, each waiting for the one before, and one large
product for the recurrent kernel's gradient. A backend takes longer by its activation functions, its
update and its overhead.
"""

import numpy as np

from benchmarks.common.cases import Case
from benchmarks.common.timing import Epoch
from harness.core.model import GATES


def build(case: Case) -> Epoch:
    """Return an epoch of the products of `case`."""
    gates, T, B, H = GATES[case.cell] * case.units, case.length, case.batch, case.units
    rng = np.random.default_rng(0)
    h, da = rng.random((T, B, H), np.float32), rng.random((T, B, gates), np.float32)
    U = rng.random((H, gates), np.float32)
    UT = np.ascontiguousarray(U.T)
    a, dh, dU = np.empty_like(da[0]), np.empty_like(h[0]), np.empty_like(U)

    def epoch() -> None:
        for _ in range(case.steps):
            for h_t in h:
                np.matmul(h_t, U, out=a)
            for da_t in da:
                np.matmul(da_t, UT, out=dh)
            np.matmul(h.reshape(T * B, H).T, da.reshape(T * B, gates), out=dU)

    return epoch
