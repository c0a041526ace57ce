"""PyTorch Lightning: a module, a data loader, and its trainer without logger, bar and checkpoints.

`fit` does much work before its first step. So an epoch is a `fit` of two epochs, and a callback
times the second.
"""

import logging
import time
import warnings

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.by_hand.data import samples
from benchmarks.by_hand.torch_loop import Network
from benchmarks.common.cases import Case
from benchmarks.common.timing import Epoch


class Regression(lightning.LightningModule):
    """Regression of sequences with a mean squared error."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network
        self.criterion = nn.MSELoss()

    def training_step(self, batch: list[Tensor]) -> Tensor:
        x, y = batch
        loss = self.criterion(self.network(x), y)
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


class Clock(Callback):
    """A callback that times the latest epoch, in seconds."""

    began = seconds = 0.0

    def on_train_epoch_start(self, *_: object) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.began


def build(case: Case) -> Epoch:
    """Return an epoch of Lightning's trainer."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    data = TensorDataset(*map(torch.from_numpy, samples(case)))
    loader = DataLoader(data, batch_size=case.batch, shuffle=True)
    module = Regression(Network(case.cell, case.units))

    def epoch() -> float:
        clock = Clock()
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=2,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[clock],
        )
        trainer.fit(module, loader)
        return clock.seconds

    return epoch
