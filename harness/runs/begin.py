"""Begin a run's record: its first events, and the files that are known before it trains."""

from pathlib import Path

from harness.config.schema import Config
from harness.config.serialise import config_text, flat_params
from harness.core import file_names
from harness.core.model import count_params
from harness.reporting import plots
from harness.runs import resume
from harness.runs.identity import Identity
from harness.runs.input_files import copies, input_tags
from harness.runs.network_file import network_of, network_text
from harness.runs.run_key import TAG, run_key
from harness.system.durable_files import Content, write_files
from harness.tracking import provenance
from harness.tracking.launched_jobs import relative_path
from harness.tracking.mlflow_store import NOTE
from harness.tracking.run_log import RunLog
from harness.training.checkpoints import params_writer
from harness.training.plan import Plan


def begin(record: RunLog, plan: Plan, identity: Identity, origin: resume.ResumedRun | None) -> None:
    """Write the first events and files; from here on the run is visible in MLflow."""
    config, splits = plan.config, plan.splits
    tags = {
        "kind": "run",
        "task": config.task.name,
        "backend": config.backend.name,
        "cell": config.model.cell,
        "mlflow.runColor": plots.COLOURS.get(config.backend.name, "#8172b3"),
    }
    tags |= identity.tags | input_tags(config)
    tags |= provenance.tags(identity.overrides, record.directory, Path(config.results))
    tags[NOTE] = f"Repeat it with\n\n    {tags['command']}"
    key = run_key(plan)
    if key is not None:
        tags[TAG] = key
    params = flat_params(config)
    if origin is not None:
        params["resume"] = tags["resumed_from"] = origin.run
        tags["resumed_epoch"] = str(origin.checkpoint.epoch)
    sweep = identity.parent
    record.start(
        name=identity.name,
        experiment=config.experiment_name,
        note=_about(config),
        params=params,
        tags=tags,
        parent=None if sweep is None else relative_path(sweep, record.directory),
    )
    shapes = {
        f"{name}.{key}": str(array.shape)
        for name, part in splits.parts.items()
        for key, array in part.arrays().items()
    }
    source = {"task": config.task.name, "seeds": config.seeds}
    record.write(
        "dataset", name=config.task.name, digest=splits.digest(), source=source, shapes=shapes
    )
    record.write(
        "scalars",
        values={
            "params/total": count_params(plan.model),
            "params/trainable": count_params(plan.model),
        },
    )
    files: dict[str, Content] = {
        file_names.CONFIG: config_text(config),
        file_names.NETWORK: network_text(network_of(plan)),
        file_names.INITIAL_WEIGHTS: params_writer(plan.start.params),
    }
    files |= copies(config, record.directory)
    write_files({record.directory / path: content for path, content in files.items()})
    for path in (*files, *identity.files):
        record.file(path)
    for event in origin.curve() if origin is not None else ():
        record.write("metrics", step=event["step"], values=event["values"])
    record.sync()
    record.flush()


def _about(config: Config) -> str:
    """Return the description of the task's experiment in MLflow."""
    text = (type(config.task).__doc__ or "").strip()
    bound = config.task.best_loss()
    if bound is None:
        return text
    return f"{text}\n\nBest possible loss: {bound.loss:.4g} ({bound.reason})."
