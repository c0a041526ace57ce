"""One run, from a checked configuration to a closed record with all its files.

The order is fixed here: the plan is prepared and checked first, then the folder is checked, then
the record begins; the record is closed whatever happens afterwards.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from backends import BackendFactory, State
from harness.config.backend import BackendConfig
from harness.config.schema import Config
from harness.core import file_names
from harness.core.arrays import Array
from harness.core.model import Params
from harness.runs import figures, mlflow_model, resume
from harness.runs.begin import begin
from harness.runs.cost import cost_event
from harness.runs.folders import check_not_begun
from harness.runs.identity import Identity
from harness.runs.run_files import parameter_table, prediction_table
from harness.system.compile_cache import use_compile_cache
from harness.system.durable_files import Content, write_files
from harness.system.peak_memory import peak_since, resident
from harness.tracking.mlflow_process import get_ready, track
from harness.tracking.run_log import RunLog, Tracking
from harness.training.checkpoints import params_writer
from harness.training.divergence import check_measured
from harness.training.gradient import gradients
from harness.training.kernel_choice import planned
from harness.training.kernel_figures import in_one_line
from harness.training.load_backend import load_backend
from harness.training.metrics import evaluate
from harness.training.plan import Plan, prepare
from harness.training.pruning import Pruning
from harness.training.trainer import Outcome, train

if TYPE_CHECKING:
    import pandas as pd


LONG = 1.0  # seconds of training whose curve is worth a message of its own to MLflow's process


@dataclass(kw_only=True)
class Result:
    """The outcome of a finished run, for its summary."""

    plan: Plan
    outcome: Outcome
    directory: Path
    values: dict[str, Array]  # name -> (R,), at the final weights
    predictions: "pd.DataFrame"
    gradient: Params  # empty unless trainer.save_gradient is set
    timings: dict[str, float] = field(default_factory=dict)
    tracking: Tracking | None = None

    def wait_for_address(self) -> dict[str, str]:
        """Wait until MLflow has all of the run, or for too long; return its address.

        The address is empty without MLflow, and if MLflow does not have all of the run.
        """
        return {} if self.tracking is None else self.tracking.wait_for_address()

    @property
    def loss(self) -> float:
        """The loss that an optimising sweep minimises.

        It is the mean of `val/loss` over the replicas, or else of `train/loss`; NaN for a run
        without training.
        """
        losses = self.values.get("val/loss", self.values.get("train/loss"))
        return float("nan") if losses is None else float(losses.mean())


def run(
    config: Config,
    identity: Identity,
    load: Callable[[BackendConfig], BackendFactory] = load_backend,
) -> Result:
    """Train, evaluate, write and track one run; `load` gives what constructs its backend.

    Raises `ConfigError` for a mistake of the user's and `Diverged` for a loss that is not finite;
    in both cases, and on Ctrl-C, the record is closed with the right status.
    """
    identity = replace(identity, before=resident())
    plan, origin = resume.resumed(prepare(config))
    get_ready(config.tracking, config.experiment_name, Path(config.results))
    use_compile_cache(Path(config.results))
    return carry_out(plan, identity, load(config.backend), origin=origin)


def carry_out(
    plan: Plan,
    identity: Identity,
    load: BackendFactory,
    draw: Callable[..., list[str]] = figures.draw,
    origin: resume.ResumedRun | None = None,
    pruning: Pruning | None = None,
) -> Result:
    """Carry out a prepared plan; see `run`.

    `load` constructs the backend, `draw` draws the pictures (see `figures.draw`), and `origin` is
    the run that this one resumes. Raises `Pruned` where `pruning` ends it: its last checkpoint is
    kept, and neither predictions nor pictures are made.
    """
    began, config = time.monotonic(), plan.config
    check_not_begun(identity.directory)
    mlflow_model.check(plan)
    tracking = track(
        config.tracking,
        config.experiment_name,
        Path(config.results),
        identity.directory,
        identity.is_followed,
    )
    with RunLog(identity.directory, tracking) as record:
        begin(record, plan, identity, origin)
        if identity.together is None:  # else the program that it shares is planned as a whole
            plan = planned(plan, load, Path(config.results))
        record.write("tags", values=_execution_tags(plan))
        build = partial(plan.build, load)
        begun = None if origin is None else origin.checkpoint
        with resume.note_resume_command(identity.directory, config.results):
            shows = identity.shows_progress
            outcome = train(
                build,
                plan.start,
                plan.splits,
                plan.schedule,
                config,
                record,
                begun,
                shows,
                pruning,
            )
            if origin is not None and not outcome.values:  # nothing was left to train
                outcome.values = origin.values()
            first = 1 if begun is None else begun.epoch + 1
            result = _finish(record, plan, outcome, load, draw, first)
        share = record.tracking_seconds / (time.monotonic() - began)
        result.timings = outcome.timings() | {"time/tracking_share": share}
        record.write("scalars", values=result.timings)
        together = identity.together or config.replicas
        record.cost = cost_event(plan, outcome, together, peak_since(identity.before))
    result.tracking = tracking
    return result


def _execution_tags(plan: Plan) -> dict[str, str]:
    """Return the number of threads, and what is known of the kernels among which was chosen."""
    tags = {"threads": str(plan.threads)}
    return tags | ({"kernels": in_one_line(plan.figures)} if plan.figures else {})


def _finish(
    record: RunLog,
    plan: Plan,
    outcome: Outcome,
    load: BackendFactory,
    draw: Callable[..., list[str]],
    first: int,
) -> Result:
    """Evaluate the final weights once more and write every file of the run directory."""
    directory, splits, backend = record.directory, plan.splits, outcome.backend
    if sum(outcome.epoch_seconds) > LONG:
        record.flush()  # MLflow gets the rest of the curve while the files are written
    values = dict(outcome.values)
    for name in ("val", "test"):
        if name in splits.parts:
            values |= evaluate(backend, splits, name, plan.training.loss)
    # At step 0: MLflow then shows a metric that a run has once as a bar, not as a single point.
    record.metrics(0, {n: v for n, v in values.items() if n.startswith("test/")})
    if outcome.best_epoch is not None:  # then the last epoch's values are not the final ones
        record.write("scalars", values={f"final/{n}": v.tolist() for n, v in values.items()})
    predictions = prediction_table(plan.model, backend, splits, plan.training.loss)
    parameters = parameter_table(plan.model)
    files: dict[str, Content] = {
        file_names.FINAL_WEIGHTS: params_writer(backend.state().params),
        file_names.PARAMETERS: partial(parameters.to_csv, index=False),
        file_names.PREDICTIONS: partial(predictions.to_csv, index=False),
    }
    gradient: Params = {}
    if plan.config.trainer.save_gradient and splits.train.has_targets:
        gradient = _gradient(plan, load, first)
        files[file_names.GRADIENT] = params_writer(gradient)
    config = plan.config
    if config.tracking.model:
        files |= mlflow_model.files(plan, backend.state().params, directory)
    write_files({directory / path: content for path, content in files.items()})
    title = f"{config.task.name} · {config.backend.name} · {config.model.cell}"
    pictures = draw(directory, title, config.task.loss, config.task.best_loss(), predictions)
    for path in [*files, *pictures]:
        record.file(path)
    record.write("table", path=file_names.PREDICTIONS)
    if config.tracking.model:
        record.write("model", path=file_names.MODEL_FACTS)
    check_measured(values, config, splits)
    return Result(
        plan=plan,
        outcome=outcome,
        directory=directory,
        values=values,
        predictions=predictions,
        gradient=gradient,
    )


def _gradient(plan: Plan, load: BackendFactory, first: int) -> Params:
    """Return the gradient of the first batch of epoch `first`, at the weights before it.

    It is computed in float64, so that small entries keep their digits, and cast afterwards.
    """
    batches, _ = next(plan.schedule.epoch(first))
    data = plan.splits.training_data()
    training = replace(plan.training, precision="float64")
    start = State({name: value.astype("float64") for name, value in plan.start.params.items()})
    gradient = gradients(load, plan.model, training, data, start, batches[0], plan.execution)
    return {name: value.astype(plan.config.precision) for name, value in gradient.items()}
