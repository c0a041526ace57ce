"""Train the recorded settings and the changed ones here, and find where the two part.

A run records no steps. So the step and the tensor of a difference can be told only between two
programs that run here, by parity.
"""

from backends import CPU, Backend, BackendFactory, Data, Execution, State, TrainingSpec
from harness.config.schema import Config
from harness.core.errors import ConfigError
from harness.core.model import ModelSpec
from harness.parity.lockstep import BackendFailed, check
from harness.reproduce.epoch_bands import epoch_problem
from harness.reproduce.repetition import Beginning
from harness.training.execution import execution_of
from harness.training.load_backend import load_backend


def first_place(start: Beginning, recorded: Config, epoch: int) -> str:
    """Return a sentence on where both part in the epochs up to `epoch`, if they do.

    `start` is the beginning of the repetition and `recorded` the configuration of the run, both
    for this machine.
    """
    sides = {"as recorded": recorded, "as repeated": start.plan.config}
    problem = epoch_problem(start, start.epoch + 1, epoch)
    try:
        parity = check(problem, {name: _factory(config) for name, config in sides.items()})
    except (BackendFailed, ConfigError) as error:
        return f"Trained side by side here, they cannot be compared: {error}"
    if parity.first is not None:
        return f"Trained side by side here, both part first at {parity.first.sentence()}."
    return (
        f"Trained side by side here, {recorded.backend.name} as recorded and the repetition agree "
        f"over the {len(problem.batches)} steps of these epochs: the change is not what makes the "
        "run differ."
    )


def _factory(config: Config) -> BackendFactory:
    """Return the constructor of a side's backend, on the side's own device and threads."""
    load = load_backend(config.backend)

    def build(
        model: ModelSpec,
        training: TrainingSpec,
        data: Data,
        state: State,
        execution: Execution = CPU,
    ) -> Backend:
        own = execution_of(config, execution.updates, execution.batch)
        return load(model, training, data, state, own)

    return build
