"""The schedule of a run: the samples of each batch and the learning rate of each step."""

from collections.abc import Iterator

import numpy as np

from harness.config.schema import Config
from harness.core.arrays import Array
from harness.core.random_streams import batch_order


class Schedule:
    """The batches and learning rates of each epoch.

    The learning rate is constant or falls to `final_lr` times the first one. A batch size above the
    number of samples means one batch of all samples.
    """

    def __init__(self, config: Config, samples: int) -> None:
        self.config, self.samples = config, samples
        self.batch_size = min(config.trainer.batch_size, samples)
        full, rest = divmod(samples, self.batch_size)
        keep_rest = rest > 0 and config.semantics.last_batch != "drop"
        self.steps_per_epoch = full + keep_rest

    def epoch(self, number: int) -> Iterator[tuple[Array, Array]]:
        """Yield batches `(S, R, B)` and learning rates `(S, R)` for each call of `train_epoch`.

        First come the full batches, then the shorter last one; `number` counts from 1.
        """
        settings = self.config.trainer
        order = batch_order(self.config.seeds, number, self.samples, settings.shuffle)
        order, rates = np.ascontiguousarray(order), self.learning_rates(number)
        R, B = len(order), self.batch_size
        full = self.samples // B
        yield order[:, : full * B].reshape(R, full, B).swapaxes(0, 1), rates[:full]
        if self.steps_per_epoch > full:
            yield order[None, :, full * B :], rates[full:]

    def learning_rates(self, number: int) -> Array:
        """Return the learning rate of each step of an epoch and each replica, `(S, R)`."""
        S, settings = self.steps_per_epoch, self.config.trainer
        done = (np.arange(S) + (number - 1) * S) / max(settings.epochs * S - 1, 1)  # 0 … 1
        if settings.schedule == "cosine":
            factor = settings.final_lr + (1 - settings.final_lr) * 0.5 * (1 + np.cos(np.pi * done))
        elif settings.schedule == "exponential":
            factor = settings.final_lr**done
        else:
            factor = np.ones(S)
        return np.repeat(self.config.optimizer.lr * factor[:, None], self.config.replicas, axis=1)
