"""The schedule of a run: the samples of each batch and the learning rate of each step."""

from collections.abc import Iterator

import numpy as np

from harness.config.schema import Config
from harness.core.arrays import Array
from harness.core.random_streams import batch_order
from harness.training.given_schedule import batches_of, read_order, read_rates


class Schedule:
    """The batches and learning rates of each epoch, drawn or as files give them.

    The learning rate is constant or falls to `final_lr` times the first one. A batch size above the
    number of samples means one batch of all samples.
    """

    def __init__(self, config: Config, samples: int) -> None:
        """Read the files; `samples` is the number in training. Raises `ConfigError`."""
        settings = config.trainer
        self.config, self.samples = config, samples
        self.order = read_order(settings, samples)
        size = settings.batch_size
        self.batch_size = min(size, samples) if self.order is None else size
        self.steps = self.steps_before(settings.epochs + 1)
        self.rates = read_rates(config, self.steps)

    def steps_before(self, epoch: int) -> int:
        """Return the number of steps of the epochs before `epoch`, which counts from 1."""
        if self.order is not None:
            return int((self.order[: epoch - 1, :, 0] >= 0).sum())
        full, rest = divmod(self.samples, self.batch_size)
        keeps_rest = rest > 0 and self.config.semantics.last_batch != "drop"
        return (epoch - 1) * (full + keeps_rest)

    def epoch(self, number: int) -> Iterator[tuple[Array, Array]]:
        """Yield batches `(S, R, B)` and learning rates `(S, R)` for each call of `train_epoch`.

        `number` counts from 1.
        """
        rates, first = self.learning_rates(number), 0
        for batches in self._batches(number, len(rates)):
            yield batches, rates[first : first + len(batches)]
            first += len(batches)

    def _batches(self, number: int, steps: int) -> Iterator[Array]:
        """Yield the batches of an epoch's `steps`, those of one size together.

        Of a drawn order, first come the full batches, then the shorter last one.
        """
        if self.order is not None:
            yield from batches_of(self.order[number - 1], self.config.replicas)
            return
        order = batch_order(self.config.seeds, number, self.samples, self.config.trainer.shuffle)
        order = np.ascontiguousarray(order)
        R, B = len(order), self.batch_size
        full = self.samples // B
        yield order[:, : full * B].reshape(R, full, B).swapaxes(0, 1)
        if steps > full:
            yield order[None, :, full * B :]

    def learning_rates(self, number: int) -> Array:
        """Return the learning rate of each step of an epoch and each replica, `(S, R)`."""
        first, end = self.steps_before(number), self.steps_before(number + 1)
        if self.rates is not None:
            rates = self.rates[first:end]
        else:
            done = np.arange(first, end) / max(self.steps - 1, 1)  # 0 … 1
            rates = self.config.optimizer.lr * self._share_of_lr(done)
        return np.repeat(rates[:, None], self.config.replicas, axis=1)

    def _share_of_lr(self, done: Array) -> Array:
        """Return the learning rate as a share of `optimizer.lr` where so much of all is done."""
        settings = self.config.trainer
        if settings.schedule == "cosine":
            return settings.final_lr + (1 - settings.final_lr) * 0.5 * (1 + np.cos(np.pi * done))
        return settings.final_lr**done if settings.schedule == "exponential" else np.ones(len(done))
