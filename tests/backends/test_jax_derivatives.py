"""The derivatives by hand of JAX's recurrences are those that JAX finds by itself."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import backends.jax_backend  # noqa: F401 - float64 is on
from backends.jax_backend.cells import CELLS
from backends.jax_backend.recurrence import Rules, recurrence
from harness.core.model import GATES

T, B, H = 5, 3, 4


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("name", CELLS)
def test_derivatives(name: str, activation: str, masked: bool) -> None:
    rng, cell = np.random.default_rng(0), CELLS[name]
    shapes = ((T, B, GATES[name[:4].strip()] * H), (H,), (H, GATES[name[:4].strip()] * H))
    a, b, U = (jnp.asarray(rng.normal(size=shape)) for shape in shapes)
    real = jnp.asarray(rng.random((T, B, 1)) < 0.6) if masked else None
    dh = jnp.asarray(rng.normal(size=(T, B, H)))
    rules = Rules(precision="highest", activation=activation, unrolled=False)
    own = partial(recurrence(cell, rules), real=real)

    def forward(a: jax.Array, b: jax.Array, U: jax.Array) -> jax.Array:
        return cell.forward(a, b, U, real, rules)[0]

    found, expected = (jax.vjp(function, a, b, U)[1](dh) for function in (own, forward))
    for by_hand, by_jax in zip(found, expected, strict=True):
        np.testing.assert_allclose(by_hand, by_jax, rtol=1e-12, atol=1e-14)
    if masked:
        unmasked = jax.vjp(partial(recurrence(cell, rules), real=None), a, b, U)[1](dh)
        assert not np.allclose(unmasked[0], expected[0])
