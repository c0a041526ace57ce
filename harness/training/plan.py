"""The plan of a run: the data, network, training rules and initial weights of a configuration.

A plan holds NumPy arrays drawn from the run's seeds, so that a configuration that cannot be run is
refused before a framework is imported or a run is recorded.
"""

from dataclasses import dataclass

from backends import Backend, BackendFactory, Execution, State, TrainingSpec
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.initializers import initial_params
from harness.core.model import ModelSpec, Params
from harness.training.checkpoints import fresh_state
from harness.training.execution import execution_of
from harness.training.initial_weights import weights_in
from harness.training.kernel_figures import Figures
from harness.training.memory_check import check_memory
from harness.training.replica_chunks import threads_used
from harness.training.schedule import Schedule
from harness.training.splits import Splits, make_splits


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A configuration with its data, network, rules of training and initial state."""

    config: Config
    splits: Splits
    model: ModelSpec
    training: TrainingSpec
    schedule: Schedule  # the batches and learning rates of each epoch
    start: State
    execution: Execution
    figures: tuple[Figures, ...] = ()  # of the kernels that were measured for it

    @property
    def threads(self) -> int:
        """The threads that compute at once."""
        replicas, is_call = self.config.replicas, self.config.backend.epoch_is_a_call
        return threads_used(self.model, replicas, self.execution, is_call)

    def build(self, factory: BackendFactory, state: State | None = None) -> Backend:
        """Construct the backend at `state`, by default the initial weights."""
        start = self.start if state is None else state
        data = self.splits.training_data()
        return factory(self.model, self.training, data, start, self.execution)


def prepare(config: Config) -> Plan:
    """Draw data and weights; raise `ConfigError` for a configuration that cannot be run."""
    check_memory(config)
    last_target = config.model.returns == "last"
    splits = make_splits(config.task, config.seeds, config.precision, last_target)
    if config.trainer.epochs and not splits.train.has_targets:
        raise ConfigError(
            f"trainer.epochs={config.trainer.epochs}: task={config.task.name} has no targets to "
            "train on; only 0 is possible."
        )
    model = config.model.spec(
        config.task, config.semantics, splits.train.x.shape[-1], splits.train.y.shape[-1]
    )
    schedule = Schedule(config, splits.train.x.shape[1])
    training = TrainingSpec(
        loss=config.task.loss,
        optimizer=config.optimizer.name,
        numbers=config.optimizer.numbers(config.semantics),
        nesterov=getattr(config.optimizer, "nesterov", False),
        clip=config.trainer.clip,
        semantics=config.semantics,
        precision=config.precision,
    )
    return Plan(
        config=config,
        splits=splits,
        model=model,
        training=training,
        schedule=schedule,
        start=fresh_state(_initial(config, model), training),
        execution=execution_of(config, schedule.steps, schedule.batch_size),
    )


def _initial(config: Config, model: ModelSpec) -> Params:
    """Return the initial weights; a run that is resumed starts from its checkpoint's."""
    if config.model.weights is None or config.resume is not None:
        return initial_params(model, config.semantics, config.seeds, config.precision)
    return weights_in(config.model.weights, model, config.replicas, config.precision)
