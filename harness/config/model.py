"""The settings of the group `model`."""

from dataclasses import dataclass

from harness.core.errors import ConfigError, check_choice, check_range
from harness.core.model import ModelSpec
from harness.core.semantics import Semantics
from harness.tasks import Task


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The network, except for its numbers of features and outputs, which the data decide."""

    cell: str  # rnn, lstm or gru
    units: int
    layers: int  # stacked recurrent layers, all of `units`
    activation: str  # of the simple cell: tanh or relu; LSTM and GRU always use tanh
    returns: str | None  # last, every_step, or null: every step if the task has targets there
    head: str  # dense, or none: the hidden state is the output
    # A file of initial weights; null: drawn. Configurations of earlier versions lack it.
    weights: str | None = None

    def __post_init__(self) -> None:
        check_choice("model.cell", self.cell, ("rnn", "lstm", "gru"))
        check_range("model.units", self.units, 1)
        check_range("model.layers", self.layers, 1)
        check_choice("model.activation", self.activation, ("tanh", "relu"))
        check_choice("model.returns", self.returns or "last", ("last", "every_step"))
        check_choice("model.head", self.head, ("dense", "none"))
        if self.cell != "rnn" and self.activation != "tanh":
            raise ConfigError(
                f"model.activation={self.activation}: with model={self.cell} it must be tanh, "
                "since PyTorch's LSTM and GRU have no other; relu needs model=rnn."
            )

    def spec(self, task: Task, semantics: Semantics, features: int, outputs: int) -> ModelSpec:
        """Return the network for data with `features` inputs and `outputs` targets.

        Raises `ConfigError` if the network does not fit the task's targets.
        """
        returns = self.returns or ("every_step" if task.every_step else "last")
        if returns == "every_step" and not task.every_step:
            raise ConfigError(
                f"model.returns=every_step: task={task.name} has one target per sequence; use last."
            )
        if self.head == "none" and self.units != outputs:
            raise ConfigError(
                f"model.units={self.units}: without a head the last hidden state is the output, "
                f"so task={task.name} needs model.units={outputs}, or model.head=dense."
            )
        return self.sized(semantics, features, outputs, returns)

    def sized(self, semantics: Semantics, features: int, outputs: int, returns: str) -> ModelSpec:
        """Return the network with the sizes that the data decide, without checks."""
        return ModelSpec(
            cell=self.cell,
            features=features,
            units=self.units,
            layers=self.layers,
            activation=self.activation,
            returns=returns,
            head=self.head,
            outputs=outputs,
            biases=semantics.gru_biases if self.cell == "gru" else semantics.biases,
            reset=semantics.gru_reset,
        )
