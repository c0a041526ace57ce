"""Training programs as users of Keras, PyTorch and JAX write them; none of this project's code.

Each `train_with_…` takes the words of a `Recipe` literally: the framework's own layers, optimiser,
clipping, weight decay and losses, with their defaults wherever the recipe says nothing. It returns
the loss of each epoch as that user would have logged it. `tests/backends/test_presets.py` holds
the harness against these curves.

Weights are a dict: of recurrent layer n rnn.n.kernel `(F, GU)`, rnn.n.recurrent_kernel `(U, GU)`,
rnn.n.bias, rnn.n.recurrent_bias where there are two; head.kernel `(U, O)`, head.bias `(O,)`; gates
in the order i, f, c, o or z, r, h.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Recipe:
    """What the user decided; everything else is the framework's default."""

    cell: str
    optimizer: str
    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float | None = None  # by the norm, in the framework's most usual way
    halved: bool = False  # the learning rate halves after every step
    loss: str = "mse"  # or "bce"
    every_step: bool = False
    padded: bool = False  # sequences of unequal length
    layers: int = 1


@dataclass(frozen=True)
class Samples:
    """`x` `(N, T, F)`, `y` `(N, O)` or `(N, T, O)`, `mask` `(N, T)` or None, and the order in which
    each epoch visits them, `(epochs, N)`."""

    x: Array
    y: Array
    orders: Array
    batch_size: int
    mask: Array | None = None

    def epochs(self) -> Iterator[list[Array]]:
        """Every epoch's batches, the last one shorter."""
        for order in self.orders:
            yield [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]

    @property
    def lengths(self) -> Array:
        """Real steps of each sequence, padded on the right."""
        mask = np.ones(self.x.shape[:2], bool) if self.mask is None else self.mask
        return mask.sum(axis=1)


def recurrent(recipe: Recipe, weights: dict[str, Array]) -> list[dict[str, Array]]:
    """Each recurrent layer's arrays, under their names without `rnn.n.`."""
    marks = [f"rnn.{n}." for n in range(recipe.layers)]
    return [
        {name.removeprefix(mark): value for name, value in weights.items() if name.startswith(mark)}
        for mark in marks
    ]


def gates(array: Array, count: int) -> list[Array]:
    return np.split(array, count, axis=-1)


# ------------------------------------------------------------------------------------------- Keras


def keras_network(recipe: Recipe, weights: dict[str, Array], data: Samples) -> Any:
    """Padding is marked by the value 0 in all features, as Keras' Masking layer expects it."""
    import keras

    cells = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    masking = [] if data.mask is None else [keras.layers.Masking()]
    U, O = weights["head.kernel"].shape
    deeper = [cells[recipe.cell](U, return_sequences=True) for _ in range(recipe.layers - 1)]
    stack = [*deeper, cells[recipe.cell](U, return_sequences=recipe.every_step)]
    head = keras.layers.Dense(O, activation={"bce": "sigmoid"}.get(recipe.loss))
    network = keras.Sequential([keras.Input(data.x.shape[1:]), *masking, *stack, head])
    for layer, own in zip(stack, recurrent(recipe, weights), strict=True):
        layer.set_weights([own[name] for name in ("kernel", "recurrent_kernel", "bias")])
    head.set_weights([weights["head.kernel"], weights["head.bias"]])
    return network


def keras_optimizer(recipe: Recipe) -> Any:
    from keras import optimizers

    schedule = optimizers.schedules.ExponentialDecay(recipe.lr, decay_steps=1, decay_rate=0.5)
    common = {
        "learning_rate": schedule if recipe.halved else recipe.lr,
        "clipnorm": recipe.clip,
        "weight_decay": recipe.weight_decay or None,
    }
    if recipe.optimizer == "sgd":
        return optimizers.SGD(momentum=recipe.momentum, nesterov=recipe.nesterov, **common)
    if recipe.optimizer == "adam":
        return optimizers.Adam(beta_1=recipe.betas[0], beta_2=recipe.betas[1], **common)
    return optimizers.RMSprop(**common)


def train_with_keras(recipe: Recipe, weights: dict[str, Array], data: Samples) -> Array:
    """`compile` and `fit`; the samples are put into each epoch's order beforehand."""
    import keras

    before, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(str(data.x.dtype))
    keras.config.set_dtype_policy(str(data.x.dtype))  # else that of the process's first layer stays
    try:
        network = keras_network(recipe, weights, data)
        loss = {"mse": "mse", "bce": "binary_crossentropy"}[recipe.loss]
        network.compile(optimizer=keras_optimizer(recipe), loss=loss)
        curve, size = [], data.batch_size
        for order in data.orders:
            x, y = data.x[order], data.y[order]
            history = network.fit(x, y, batch_size=size, shuffle=False, verbose=0)
            curve += history.history["loss"]
    finally:
        keras.config.set_floatx(before)
        keras.config.set_dtype_policy(policy)
    return np.array(curve)


# ----------------------------------------------------------------------------------------- PyTorch


def torch_network(recipe: Recipe, weights: dict[str, Array], dtype: str) -> tuple[Any, Any]:
    import torch
    from torch import nn

    U, O = weights["head.kernel"].shape
    layer = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[recipe.cell]
    features, kind = len(weights["rnn.0.kernel"]), getattr(torch, dtype)
    rnn = layer(features, U, num_layers=recipe.layers, batch_first=True, dtype=kind)
    head = nn.Linear(U, O, dtype=kind)
    values = [v for own in recurrent(recipe, weights) for v in torch_layer(recipe, own, U)]
    values += [weights["head.kernel"].T, weights["head.bias"]]
    with torch.no_grad():
        for tensor, value in zip([*rnn.parameters(), *head.parameters()], values, strict=True):
            tensor.copy_(torch.from_numpy(value))
    return rnn, head


def torch_layer(recipe: Recipe, own: dict[str, Array], U: int) -> list[Array]:
    """A layer's arrays in the order of PyTorch's parameters: weights and biases, input side first;
    gates of a GRU are r, z, n there."""
    biases = [*own["bias"]] if recipe.cell == "gru" else [own["bias"], own["recurrent_bias"]]
    values = [own["kernel"].T, own["recurrent_kernel"].T, *biases]
    if recipe.cell == "gru":
        return [np.concatenate([w[U : 2 * U], w[:U], w[2 * U :]]) for w in values]
    return values


def torch_optimizer(recipe: Recipe, parameters: list[Any]) -> Any:
    from torch import optim

    common: Any = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "sgd":
        momentum = {"momentum": recipe.momentum, "nesterov": recipe.nesterov}
        return optim.SGD(parameters, **momentum, **common)
    if recipe.optimizer == "adam":
        return optim.Adam(parameters, betas=recipe.betas, **common)
    return optim.RMSprop(parameters, **common)


def train_with_torch(recipe: Recipe, weights: dict[str, Array], data: Samples) -> Array:
    """A loop over epochs and batches; the epoch's loss is the mean of the batches' losses."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    rnn, head = torch_network(recipe, weights, str(data.x.dtype))
    parameters = [*rnn.parameters(), *head.parameters()]
    optimizer = torch_optimizer(recipe, parameters)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5 if recipe.halved else 1.0)
    criterion = {"mse": nn.MSELoss, "bce": nn.BCEWithLogitsLoss}[recipe.loss]()
    x, y, T = torch.from_numpy(data.x), torch.from_numpy(data.y), data.x.shape[1]

    def batch_loss(rows: Array) -> Any:
        if data.mask is None:
            h, _ = rnn(x[rows])
            return criterion(head(h if recipe.every_step else h[:, -1]), y[rows])
        lengths = torch.from_numpy(data.lengths[rows])
        packed = pack_padded_sequence(x[rows], lengths, batch_first=True, enforce_sorted=False)
        h, last = rnn(packed)
        if not recipe.every_step:
            last = last[0] if recipe.cell == "lstm" else last
            return criterion(head(last[-1]), y[rows])
        padded, _ = pad_packed_sequence(h, batch_first=True, total_length=T)
        real = torch.from_numpy(data.mask[rows])
        return criterion(head(padded)[real], y[rows][real])

    curve = []
    for batches in data.epochs():
        losses = []
        for rows in batches:
            optimizer.zero_grad()
            loss = batch_loss(rows)
            loss.backward()
            if recipe.clip is not None:
                nn.utils.clip_grad_norm_(parameters, recipe.clip)
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        curve.append(sum(losses) / len(losses))
    return np.array(curve)


# --------------------------------------------------------------------------- JAX, flax.linen, optax


def linen_network(recipe: Recipe, weights: dict[str, Array]) -> Any:
    import flax.linen as nn
    import jax.numpy as jnp

    cells: Any = {"rnn": nn.SimpleCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}
    U, O = weights["head.kernel"].shape

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x: Any, lengths: Any) -> Any:
            carry: Any = None
            h = x
            for n in range(recipe.layers):
                cell = cells[recipe.cell](U, param_dtype=x.dtype, name=f"cell_{n}")
                carry, h = nn.RNN(cell, return_carry=True)(h, seq_lengths=lengths)
            last = carry[1] if recipe.cell == "lstm" else carry  # of the last layer
            seen = h if recipe.every_step else last
            return nn.Dense(O, param_dtype=jnp.dtype(x.dtype), name="head")(seen)

    return Network()


def linen_weights(recipe: Recipe, weights: dict[str, Array]) -> Any:
    own = recurrent(recipe, weights)
    params = {f"cell_{n}": linen_cell(recipe, each) for n, each in enumerate(own)}
    params["head"] = {"kernel": weights["head.kernel"], "bias": weights["head.bias"]}
    return {"params": params}


def linen_cell(recipe: Recipe, own: dict[str, Array]) -> Any:
    names = {"rnn": [""], "lstm": ["i", "f", "g", "o"], "gru": ["z", "r", "n"]}[recipe.cell]
    split = {
        n: gates(own[n], len(names)) for n in ("kernel", "recurrent_kernel", "bias")
    }  # one entry per gate
    bias_side = "h" if recipe.cell == "lstm" else "i"
    cell: Any = {}
    for g, name in enumerate(names):
        cell["i" + name] = {"kernel": split["kernel"][g]}
        cell["h" + name] = {"kernel": split["recurrent_kernel"][g]}
        cell[bias_side + name]["bias"] = split["bias"][g]
    if recipe.cell == "gru":
        cell["hn"]["bias"] = own["recurrent_bias"]
    return cell


def optax_optimizer(recipe: Recipe) -> Any:
    import optax

    lr: Any = optax.exponential_decay(recipe.lr, 1, 0.5) if recipe.halved else recipe.lr
    b1, b2 = recipe.betas
    if recipe.optimizer == "sgd":
        rule = optax.sgd(lr, momentum=recipe.momentum or None, nesterov=recipe.nesterov)
    elif recipe.optimizer == "adam" and recipe.weight_decay:
        rule = optax.adamw(lr, b1, b2, weight_decay=recipe.weight_decay)
    else:
        assert not recipe.weight_decay, "in optax, weight decay is adamw's"
        rule = optax.adam(lr, b1, b2) if recipe.optimizer == "adam" else optax.rmsprop(lr)
    clip = [] if recipe.clip is None else [optax.clip_by_global_norm(recipe.clip)]
    return optax.chain(*clip, rule)


def train_with_jax(recipe: Recipe, weights: dict[str, Array], data: Samples) -> Array:
    """A jitted step in a loop; the epoch's loss is the mean of the batches' losses."""
    import jax
    import jax.numpy as jnp
    import optax

    with jax.enable_x64(data.x.dtype == np.float64):
        network = linen_network(recipe, weights)
        params = jax.tree.map(jnp.asarray, linen_weights(recipe, weights))
        optimizer = optax_optimizer(recipe)
        memory = optimizer.init(params)

        def batch_loss(params: Any, x: Array, y: Array, lengths: Array) -> Any:
            outputs = network.apply(params, x, lengths)
            terms = {"mse": optax.squared_error, "bce": optax.sigmoid_binary_cross_entropy}
            each = terms[recipe.loss](outputs, y)
            if not recipe.every_step:
                return each.mean()
            real = jnp.arange(x.shape[1]) < lengths[:, None]
            return each.mean(where=real[..., None])

        def step(params: Any, memory: Any, x: Array, y: Array, lengths: Array) -> Any:
            loss, gradient = jax.value_and_grad(batch_loss)(params, x, y, lengths)
            updates, memory = optimizer.update(gradient, memory, params)
            return optax.apply_updates(params, updates), memory, loss

        # Unoptimised, since it runs only a few times: half the time to compile.
        step = jax.jit(step, compiler_options={"xla_backend_optimization_level": 0})
        curve = []
        for batches in data.epochs():
            losses = []
            for rows in batches:
                batch = data.x[rows], data.y[rows], data.lengths[rows]
                params, memory, loss = step(params, memory, *batch)
                losses.append(float(loss))
            curve.append(np.mean(losses))
    return np.array(curve)


TRAIN_WITH = {"keras": train_with_keras, "torch": train_with_torch, "jax": train_with_jax}
