"""What this code draws and trains, in float64 and NumPy, task by task and cell by cell.

A change of the random streams, the initialisers, the splits or the batch order changes every user's
results. What all of it was when it was last meant to change stands in `numbers.json`.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends import Array, State
from backends.numpy_backend import NumpyBackend
from harness.config.compose import composing
from harness.config.conf_folder import CONF
from harness.config.model import ModelConfig
from harness.config.schema import Config
from harness.config.semantics_table import PRESETS, preset
from harness.core.initializers import initial_params
from harness.core.model import ModelSpec
from harness.core.random_streams import batch_order, stream
from harness.core.semantics import RULES
from harness.tasks import Task
from harness.tracking.run_log import RunLog
from harness.training.plan import prepare
from harness.training.splits import make_splits
from harness.training.trainer import train
from tests.golden.fingerprints import digest, fingerprint

CELLS = ("rnn", "lstm", "gru")
SEEDS = [0, 1]
VARIANTS: list[dict[str, Any]] = [{"legacy_seed": 7}, {"seed": 3}, {"scale": "standard"}]


@dataclass(frozen=True)
class Settings:
    """Every option of the groups task and model, the first as whole runs."""

    tasks: dict[str, Config]
    models: dict[str, ModelConfig]


def settings() -> Settings:
    """Most of the time goes here: Hydra takes a quarter of a second for each."""
    folder = CONF / "task"
    options = [p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.yaml")]
    options.remove("file")  # it draws nothing
    run = ["precision=float64", f"replicas={len(SEEDS)}", "trainer.epochs=2"]
    with composing() as compose:
        return Settings(
            {option: compose([f"task={option}", *run]) for option in sorted(options)},
            {cell: compose([f"model={cell}"]).model for cell in CELLS},
        )


def everything(given: Settings) -> dict[str, Any]:
    """All golden numbers."""
    tasks = {name: run.task for name, run in given.tasks.items()}
    return {
        "streams": streams(),
        "orders": orders(),
        "initialisers": initialisers(),
        "data": {name: data(task) for name, task in data_cases(tasks).items()},
        "training": {
            f"{name} {cell}": training(replace(run, model=model))
            for name, run in given.tasks.items()
            for cell, model in given.models.items()
        },
    }


def streams() -> dict[str, Any]:
    """What the generator of each purpose begins with: raw words, and uniform numbers."""
    found = {}
    for seed in (0, 1, 2**40):
        for names in (("data",), ("weights", "rnn.0.kernel"), ("order", 3)):
            raw = stream(seed, *names).bit_generator.random_raw(2)  # type: ignore[attr-defined]
            uniform = digest(stream(seed, *names).random(1000))
            found[f"{seed} {' '.join(map(str, names))}"] = [
                *(f"{word:016x}" for word in raw),
                uniform,
            ]
    return found


def orders() -> dict[str, Any]:
    """The order of the samples in an epoch."""
    return {
        f"{samples} samples, epoch {epoch}": digest(batch_order([0, 1, 7], epoch, samples, True))
        for samples in (2, 97, 800)
        for epoch in (1, 2, 300)
    } | {"7 samples, epoch 1, seed 0": batch_order([0], 1, 7, True)[0].tolist()}


def initialisers() -> dict[str, Any]:
    """Weights of every cell under every preset, and by every single rule of a kernel or a bias."""
    found = {}
    matched = preset("matched")
    rules = {name: preset(name) for name in PRESETS}
    for name in RULES["kernel_init"]["accepted"]:
        for gates in RULES["init_gates"]["accepted"]:
            kernels = {"kernel_init": name, "recurrent_init": name, "head_kernel_init": name}
            rules[f"{name} {gates}"] = replace(matched, init_gates=gates, **kernels)
    for name in RULES["bias_init"]["accepted"]:
        rules[f"biases {name}"] = replace(matched, bias_init=name, head_bias_init=name)
    for name, semantics in rules.items():
        for cell in CELLS:
            biases = semantics.gru_biases if cell == "gru" else semantics.biases
            model = ModelSpec(
                cell=cell,
                features=3,
                units=5,
                layers=2,
                activation="tanh",
                returns="last",
                head="dense",
                outputs=2,
                biases=biases,
            )
            params = initial_params(model, semantics, [0, 1], "float64")
            found[f"{name} {cell}"] = {n: fingerprint(value) for n, value in params.items()}
    return found


def data_cases(tasks: dict[str, Task]) -> dict[str, Task]:
    """Every task as it stands, and those that are no notebook's with other settings as well."""
    cases = dict(tasks)
    for name, task in tasks.items():
        if "/" in name:
            continue
        lengths = {"lengths": "1:1" if name == "curve" else "2:9"}
        for changes in (*VARIANTS, lengths):
            words = [f"{key}={value}" for key, value in changes.items()]
            cases[" ".join([name, *words])] = replace(task, **changes)
    return cases


def data(task: Task) -> dict[str, Any]:
    """Every split of a task, as the network sees it."""
    return {
        f"{split}.{name}": fingerprint(array)
        for split, part in make_splits(task, SEEDS, "float64").parts.items()
        for name, array in part.arrays().items()
    }


class Watched(NumpyBackend):
    """Keeps what it was asked for and what it answered."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.batches: list[str] = []
        self.losses: list[list[float]] = []

    def train_epoch(self, batches: Array, lr: Array) -> Array:
        losses = super().train_epoch(batches, lr)
        self.batches.append(digest(batches))
        self.losses += losses.tolist()
        return losses


def training(run: Config) -> dict[str, Any]:
    """Two epochs of five updates, by the trainer itself: initial weights, batches, every loss.

    Scaled, since a saturated tanh makes much of its last digit: without, `notebook/multi_step` had
    losses that differed by 2e-11 from one processor to another.
    """
    task = replace(run.task, samples=min(run.task.samples, 200), scale="standard")
    train_split = make_splits(task, SEEDS, "float64").train
    epochs = run.trainer.epochs if train_split.has_targets else 0
    size = -(-train_split.x.shape[1] // 5)
    run = replace(run, task=task, trainer=replace(run.trainer, epochs=epochs, batch_size=size))
    plan = prepare(run)
    weights = {name: fingerprint(value) for name, value in plan.start.params.items()}

    def build(state: State) -> Watched:
        backend = plan.build(Watched, state)
        assert isinstance(backend, Watched)
        return backend

    with tempfile.TemporaryDirectory() as folder, RunLog(Path(folder), None) as record:
        data = plan.splits, plan.schedule
        backend = train(build, plan.start, *data, run, record, shows_progress=False).backend
    assert isinstance(backend, Watched)
    return {"weights": weights, "batches": backend.batches, "losses": backend.losses}
