"""A JAX program with a schedule of optax; the one line of harness.recorder is in it."""

import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from harness import recorder

jax.config.update("jax_enable_x64", True)
rng = np.random.default_rng(0)
x = rng.normal(size=(10, 3, 2))
y = x.sum((1, 2))[:, None]
params = {"kernel": jnp.array(rng.normal(size=(6, 1))), "bias": jnp.zeros(1)}
optimizer = optax.sgd(optax.exponential_decay(0.05, 2, 0.5))


def loss_of(params, x, y):
    return jnp.mean((x.reshape(len(x), -1) @ params["kernel"] + params["bias"] - y) ** 2)


@jax.jit
def step(params, opt_state, x, y):
    loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
    updates, opt_state = optimizer.update(gradients, opt_state)
    return optax.apply_updates(params, updates), opt_state, loss


train_step: Any = step
if len(sys.argv) > 2:
    train_step = recorder.jax(sys.argv[2], step, params=params, stated={"optimizer": "optax.sgd"})
opt_state = optimizer.init(params)
xs, ys, losses = [], [], []
for _ in range(2):
    for rows in np.array_split(rng.permutation(10), [4, 8]):
        params, opt_state, loss = train_step(params, opt_state, x[rows], y[rows])
        xs.append(x[rows])
        ys.append(y[rows])
        losses.append(float(loss))
np.savez(sys.argv[1], x=np.concatenate(xs), y=np.concatenate(ys), losses=losses)
