"""An epoch of updates of all replicas as one compiled program: nothing returns to Python.

It is made of functions of one replica, `vmap` over several and `lax.scan` over the steps of an
epoch. Weights, data, learning rates and the optimiser's numbers are arguments of the program, and
the new state is its result: a later job of the same rules and shapes compiles nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from backends.jax_backend.losses import mean_loss
from backends.jax_backend.network import network
from backends.jax_backend.optimizers import Arrays, Slots, update
from harness.core.model import ModelSpec
from harness.core.semantics import Semantics
from harness.system.compiled_programs import freed_by


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The static arguments of a program, besides the model."""

    loss: str
    optimizer: str
    semantics: Semantics
    unrolled: bool
    shards: int = 1  # CPU devices, each of which takes an equal part of every batch


@freed_by
def free_programs() -> None:
    """Free the programs that this process has compiled."""
    jax.clear_caches()


# XLA's newer emitters of loops for the CPU compile some programs wrongly: with jaxlib 0.10.2 and
# AVX-512, an LSTM of 5 units, batch 4 and 2 replicas gets gradients that are off by 8 %
# (`tests/backends/test_jax_compiler.py`). Without them, or without `jit`, they are right. 0.11.2
# has no such option any more, refuses it, and gets that LSTM right on a CPU on which 0.10.2 fails.
COMPILER = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__ < (0, 11) else {}


@partial(
    jax.jit,
    static_argnames=("model", "rules"),
    donate_argnames=("params", "slots"),
    compiler_options=COMPILER,
)
def train(
    params: Arrays,
    slots: Slots,
    step: jax.Array,
    data: tuple[jax.Array, jax.Array, jax.Array | None],
    numbers: Arrays,
    batches: jax.Array,
    lr: jax.Array,
    *,
    model: ModelSpec,
    rules: Rules,
) -> tuple[tuple[Arrays, Slots], jax.Array]:
    """Do all updates of an epoch; return params and slots, and the losses `(S, R)` before each.

    `batches` `(S, R, B)` are indices into `data`, `lr` is `(S, R)` and `step` the number of updates
    done.
    """

    def loss(params, x, y, mask):
        tf32, unrolled = rules.semantics.tf32, rules.unrolled
        predictions = network(model, params, x, mask, tf32=tf32, unrolled=unrolled)
        counted = mask if model.every_step else None
        return mean_loss(rules.loss, rules.semantics.bce, predictions, y, counted)

    def one_epoch(params, slots, step, data, numbers, batches, lr):
        def one_step(carry, inputs):
            (params, slots, t), (rows, rate) = carry, inputs
            batch = (None if part is None else part[rows] for part in data)
            value, gradients = mean_over_shards(jax.value_and_grad(loss)(params, *batch), rules)
            n = numbers | {"lr": rate, "t": t + 1}
            state = update(rules.optimizer, params, gradients, slots, n, rules.semantics)
            return (*state, t + 1), value

        carry, losses = lax.scan(one_step, (params, slots, step), (batches, lr))
        return carry[:2], losses

    arrays, axes = unshared(data)
    run = over_replicas(one_epoch, (0, 0, None, axes, 0, 1, 1), (0, 1), lr.shape[1])
    if rules.shards > 1:
        run = over_shards(run, rules.shards)
    return run(params, slots, step, arrays, numbers, batches, lr)


@partial(jax.jit, static_argnames=("model", "tf32"), compiler_options=COMPILER)
def outputs(
    params: Arrays, x: jax.Array, mask: jax.Array | None, *, model: ModelSpec, tf32: str
) -> jax.Array:
    """Map `x` `(R, N, T, F)` to outputs `(R, N, O)` or `(R, N, T, O)`."""
    arrays, axes = unshared((x, mask))
    function, replicas = partial(network, model, tf32=tf32), len(params["rnn.0.kernel"])
    return over_replicas(function, (0, *axes), 0, replicas)(params, *arrays)


SAMPLES = "samples"  # the mesh's axis


def mesh(shards: int) -> Mesh:
    """Return the first CPU devices as a mesh of one axis."""
    return Mesh(np.array(jax.devices("cpu")[:shards]), (SAMPLES,))


def replicated(shards: int) -> NamedSharding:
    """Return the place of arrays that all devices of the mesh have."""
    return NamedSharding(mesh(shards), PartitionSpec())


def over_shards(run: Callable[..., Any], shards: int) -> Callable[..., Any]:
    """Return an epoch's function in which each device takes a part of every batch `(S, R, B)`."""
    everywhere, split = PartitionSpec(), PartitionSpec(None, None, SAMPLES)
    inputs = (*[everywhere] * 5, split, everywhere)
    return jax.shard_map(
        run, mesh=mesh(shards), in_specs=inputs, out_specs=everywhere, check_vma=False
    )


def mean_over_shards(values: Any, rules: Rules) -> Any:
    """Return the means over the parts of a batch, all of which have as many samples."""
    return lax.pmean(values, SAMPLES) if rules.shards > 1 else values


def unshared(parts: tuple[jax.Array | None, ...]) -> tuple[tuple, tuple]:
    """Return arrays and their axes for `vmap`; a shared one `(1, …)` loses its replica axis."""
    axes = tuple(None if part is None or len(part) == 1 else 0 for part in parts)
    arrays = (
        part[0] if part is not None and axis is None else part
        for part, axis in zip(parts, axes, strict=True)
    )
    return tuple(arrays), axes


def over_replicas(
    function: Callable[..., Any], in_axes: tuple, out_axes: Any, replicas: int
) -> Callable[..., Any]:
    """Return `vmap` of a function; for one replica, the function between arrays without that axis.

    XLA multiplies matrices faster than a batch of one matrix.
    """
    if replicas > 1:
        return jax.vmap(function, in_axes=in_axes, out_axes=out_axes)

    def single(*arguments: Any) -> Any:
        one = (
            jax.tree.map(lambda a, axis=axis: a.squeeze(axis), argument)
            if isinstance(axis, int)
            else argument  # shared data
            for argument, axis in zip(arguments, in_axes, strict=True)
        )
        return jax.tree.map(
            lambda axis, result: jax.tree.map(lambda a: jnp.expand_dims(a, axis), result),
            out_axes,
            function(*one),
        )

    return single
