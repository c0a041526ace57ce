"""What a backend is asked to do in an epoch: the samples of each batch and its learning rate."""

import numpy as np

from harness.config.schema import Config, TrainerConfig

Array = np.ndarray


class LearningRate:
    """The learning rate of every step: constant, or falling to `final_lr` times the first one."""

    def __init__(self, config: Config, samples: int) -> None:
        self.settings, self.lr, self.replicas = config.trainer, config.optimizer.lr, config.replicas
        size = min(config.trainer.batch_size, samples)
        kept = samples // size if config.semantics.last_batch == "drop" else -(-samples // size)
        self.steps_per_epoch = kept

    def of_epoch(self, epoch: int) -> Array:
        """`(S, R)`: the rate at each step of `epoch`, which counts from 1."""
        S, settings = self.steps_per_epoch, self.settings
        done = (np.arange(S) + (epoch - 1) * S) / max(settings.epochs * S - 1, 1)  # 0 … 1
        if settings.schedule == "cosine":
            factor = settings.final_lr + (1 - settings.final_lr) * 0.5 * (1 + np.cos(np.pi * done))
        elif settings.schedule == "exponential":
            factor = settings.final_lr**done
        else:
            factor = np.ones(S)
        return np.repeat(self.lr * factor[:, None], self.replicas, axis=1)


def epoch_batches(order: Array, settings: TrainerConfig, last_batch: str) -> list[Array]:
    """An epoch's order `(R, N)` as index arrays `(S, R, B)`: the full batches, then the rest.

    A batch size above N means one batch of all samples.
    """
    R, N = order.shape
    size = min(settings.batch_size, N)
    full = N // size
    order = np.ascontiguousarray(order)
    whole = order[:, : full * size].reshape(R, full, size).swapaxes(0, 1)
    rest = order[:, full * size :][None]
    return [whole] if last_batch == "drop" or not rest.size else [whole, rest]
